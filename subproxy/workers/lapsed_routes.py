"""Routes that guests had with a worker, and have with none since a moment ago."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any


class LapsedRoutes:
    """
    See above. A worker keeps a route that has lost its last guest, since that is about to return,
    and lets requests wait for it. When the worker dies, so does what it knows of that: who takes
    its place has to be told.
    """

    def __init__(self) -> None:
        self._since: dict[tuple[str, ...], float] = {}

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return iter(self._since)

    def add(self, identity: str, routes: Iterable[tuple[str, ...]], now: float) -> None:
        """C{identity} had C{routes} until now."""
        for each in routes:
            route = (identity, *each)
            # The longest lapsed first.
            self._since.pop(route, None)
            self._since[route] = now

    def data(self) -> list[list[Any]]:
        """All of it for the parent's next program: since when, and the words of each."""
        return [[since, *route] for route, since in self._since.items()]

    def restore(self, data: Iterable[Sequence[Any]]) -> None:
        """Take what L{data} has told, of the same clock."""
        for since, identity, *route in data:
            self.add(identity, [tuple(route)], since)

    def expire(self, now: float, linger: float) -> int:
        """Forget those that have lapsed for C{linger} seconds; how many that were."""
        expired = []
        for route, since in self._since.items():
            if now - since < linger:
                break
            expired.append(route)
        for route in expired:
            del self._since[route]
        return len(expired)
