"""
The data connections to another process, dialled for what it asks over one connection.

What was dialled for that one is for no other: it may lead to a process that knows nothing of the
other's tokens, where a proxy is replaced while it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred

from subproxy.frontend.peer.peer_data_connection import PeerDataConnection

IDLE_MOST: Final = 64
"""So many idle ones are kept; a handshake costs what it costs to move a megabyte."""

OPEN_MOST: Final = 128
"""So many there may be at once; the bodies of more exchanges go in frames."""


class PeerDataPool:
    """
    See above.

    @param dial: has the other process dialled, and a connection be what speaks with it.
    @ivar plain: they are plain sockets, without TLS.
    @ivar emptied: hears each time that nothing that was sent is still to come.
    """

    def __init__(
        self,
        clock: Any,
        dial: Callable[[PeerDataConnection], Deferred[Any]],
        plain: bool = False,
    ) -> None:
        self.plain = plain
        self.emptied: Callable[[], None] = lambda: None
        self._clock = clock
        self._dial = dial
        self._open: set[PeerDataConnection] = set()
        self._idle: list[PeerDataConnection] = []
        self._retired = False

    def connection(self) -> PeerDataConnection | None:
        """One that can claim a token; None: there are too many."""
        return self._idle.pop() if self._idle else self.another()

    def another(self) -> PeerDataConnection | None:
        """One that nothing went over; None: likewise."""
        if self._retired or len(self._open) >= OPEN_MOST:
            return None
        connection = PeerDataConnection(self, self._clock)
        self._open.add(connection)
        return connection

    @property
    def unfinished(self) -> int:
        """How many bodies were sent, and the other process has not said that they came."""
        return sum(each.state.unfinished for each in self._open)

    def retire(self) -> None:
        """Nothing more is asked: close what is idle, and let come what was sent."""
        self._retired = True
        for each in list(self._open):
            each.close()
            each.linger()

    # DataKeeper.

    def dial(self, connection: PeerDataConnection) -> Deferred[Any]:
        """See L{DataKeeper<subproxy.frontend.peer.peer_data_connection.DataKeeper>}."""
        return self._dial(connection)

    def keep(self, connection: PeerDataConnection) -> bool:
        """See L{DataKeeper<subproxy.frontend.peer.peer_data_connection.DataKeeper>}."""
        if self._retired or len(self._idle) >= IDLE_MOST:
            return False
        self._idle.append(connection)
        return True

    def settled(self) -> None:
        """See L{DataKeeper<subproxy.frontend.peer.peer_data_connection.DataKeeper>}."""
        if not self.unfinished:
            self.emptied()

    def gone(self, connection: PeerDataConnection) -> None:
        """See L{DataKeeper<subproxy.frontend.peer.peer_data_connection.DataKeeper>}."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
