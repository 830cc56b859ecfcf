"""
When a folder is looked at again: soon after something happened there, and now and then anyway.

What happens while it is looked at asks for another look behind it; what happens between two looks
asks for one, however much it is. This decides; who holds the timer and does the looking acts.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from subproxy.core.states import TransitionTable


class RescanState(Enum):
    """What becomes of a folder."""

    CLOSED = auto()
    """It is not looked at."""
    WAITING = auto()
    """For an event, or for its time."""
    SCANNING = auto()
    DIRTY = auto()
    """It is being looked at, and something has happened since that began."""
    CLOSING = auto()
    """The look under way is the last one."""


TRANSITIONS: Final = TransitionTable(
    {
        RescanState.CLOSED: (RescanState.SCANNING,),
        RescanState.WAITING: (RescanState.SCANNING, RescanState.CLOSED),
        RescanState.SCANNING: (RescanState.WAITING, RescanState.DIRTY, RescanState.CLOSING),
        RescanState.DIRTY: (RescanState.WAITING, RescanState.CLOSING),
        RescanState.CLOSING: (RescanState.CLOSED,),
    }
)


class Rescan:
    """
    See above.

    @ivar state: see L{RescanState}.
    """

    def __init__(self) -> None:
        self.state = RescanState.CLOSED

    @property
    def open(self) -> bool:
        """Whether there are to be further looks."""
        return self.state not in (RescanState.CLOSED, RescanState.CLOSING)

    @property
    def scanning(self) -> bool:
        """Whether a look is under way."""
        return self.state not in (RescanState.CLOSED, RescanState.WAITING)

    def changed(self) -> bool:
        """
        Take note of an event.

        @return: whether the look that is waited for should come soon.
        """
        if self.state is RescanState.SCANNING:
            self._go(RescanState.DIRTY)
        return self.state is RescanState.WAITING

    def begin(self) -> None:
        """A look begins: the first one, or the one that was waited for."""
        self._go(RescanState.SCANNING)

    def done(self) -> bool:
        """
        The look is over; L{open} tells whether another one is to be waited for.

        @return: whether that should come soon, for what has happened meanwhile.
        """
        soon = self.state is RescanState.DIRTY
        self._go(RescanState.WAITING if self.open else RescanState.CLOSED)
        return soon

    def close(self) -> None:
        """No look is to begin any more; L{scanning} tells whether one is still under way."""
        if self.open:
            self._go(RescanState.CLOSING if self.scanning else RescanState.CLOSED)

    def _go(self, after: RescanState) -> None:
        self.state = TRANSITIONS.move(self.state, after)
