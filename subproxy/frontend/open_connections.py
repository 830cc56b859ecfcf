"""The connections of clients that are open, each with the protocol that serves it now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from subproxy.frontend.deadlines import HasDeadline


class OpenConnection(HasDeadline, Protocol):
    """
    A client's connection, whatever serves it now.

    @ivar busy: how many requests are under way.
    """

    @property
    def busy(self) -> int:
        """See above."""

    def close_if_idle(self) -> None:
        """Close it if no request is under way; else it closes behind its answer."""

    def abort(self) -> None:
        """Close it at once, with a reset."""


class OpenConnections:
    """
    Counts what is open, and refuses what is one too many.

    @param watched: the set that holds them: that of whoever keeps their deadlines.
    @param limit: how many there may be; 0 for no limit.
    @param emptied: called when the last one is gone.
    @ivar limit: how many there may be; what is open stays.
    @ivar watched: see above. The compiled path reads its size and adds to it.
    """

    __slots__ = ("_emptied", "limit", "watched")

    def __init__(
        self, watched: set[OpenConnection], limit: int, emptied: Callable[[], None]
    ) -> None:
        self.watched = watched
        self.limit = limit
        self._emptied = emptied

    def __len__(self) -> int:
        return len(self.watched)

    def __iter__(self) -> Iterator[OpenConnection]:
        return iter(list(self.watched))

    @property
    def active(self) -> int:
        """How many requests are under way."""
        return sum(connection.busy for connection in self.watched)

    def opened(self, connection: OpenConnection) -> bool:
        """A client connected; False if it is one too many."""
        if self.limit and len(self.watched) >= self.limit:
            return False
        self.watched.add(connection)
        return True

    def replaced(self, old: OpenConnection, new: OpenConnection) -> None:
        """Another protocol serves a connection from now on."""
        self.watched.discard(old)
        self.watched.add(new)

    def left(self, connection: OpenConnection) -> None:
        """Another protocol is about to serve it; it comes by itself."""
        self.watched.discard(connection)

    def closed(self, connection: OpenConnection) -> None:
        """A connection is gone."""
        self.watched.discard(connection)
        if not self.watched:
            self._emptied()
