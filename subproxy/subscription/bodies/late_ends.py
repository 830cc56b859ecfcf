"""
The C{end} of a body on its data connection, told a little later: with what the guest is woken for
anyhow.

The guest wants it for one thing, to claim the next body on that connection. So it is told before
the next token is made, and that wakes the guest once, not twice; or when C{LATE} seconds are over.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

LATE = 0.005
"""Seconds for which an C{end} may wait: a timer in so many costs nothing beside the bodies."""


class EndTeller(Protocol):
    """A data connection whose C{end} waits."""

    def tell_end(self) -> None:
        """Tell it now, unless it was told."""


class LateEnds:
    """
    Whom of the data connections of all guests an C{end} is still to be told.

    @ivar waiting: these, the first first; compiled code adds to it, and calls L{wait}.
    @ivar timer: tells them when they have waited for long enough.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.waiting: list[EndTeller] = []
        self.timer: IDelayedCall | None = None

    def wait(self) -> None:
        """Somebody waits, and there is no timer."""
        self.timer = self._clock.callLater(LATE, self._due)

    def tell(self) -> None:
        """Tell all of them, now."""
        waiting, self.waiting[:] = self.waiting[:], []
        for connection in waiting:
            connection.tell_end()

    def _due(self) -> None:
        self.timer = None
        self.tell()
