"""How many questions about clients are open at a time, in all and about one of them."""

from __future__ import annotations

from collections import Counter

from subproxy.core.sites.client_limits import ClientKey


class OpenQuestions:
    """
    Counts them.

    @param most: in all.
    @param most_of_client: about one client, so that the others still have room.
    @ivar count: how many are open.
    """

    def __init__(self, most: int, most_of_client: int) -> None:
        self.count = 0
        self._most = most
        self._most_of_client = most_of_client
        self._of_client: Counter[ClientKey] = Counter()

    def begin(self, client: ClientKey) -> bool:
        """Whether there is room for one more about C{client}; if so, it is open."""
        if self.count >= self._most or self._of_client[client] >= self._most_of_client:
            return False
        self.count += 1
        self._of_client[client] += 1
        return True

    def end(self, client: ClientKey) -> None:
        """One about C{client} is open no more."""
        self.count -= 1
        self._of_client[client] -= 1
        if not self._of_client[client]:
            del self._of_client[client]
