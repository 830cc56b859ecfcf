"""A limit on how often something that strangers can cause is logged.

A guest or client can cause lines as fast as it can connect: a disk must not fill, nor the
reactor spend its time on formatting, at its pleasure.
"""

from __future__ import annotations

LINES = 10
"""Lines a second."""


def not_logged(held: int) -> str:
    """What stands at the end of a line before which C{held} others were dropped."""
    return f"; {held} more not logged" if held else ""


class LogLimit:
    """Lets so many lines a second through. C{held} is how many it has dropped since the last."""

    __slots__ = ("_began", "_lines", "_passed", "held")

    def __init__(self, lines: int = LINES) -> None:
        self._lines = lines
        self._began = float("-inf")
        self._passed = 0
        self.held = 0

    def admit(self, now: float) -> int | None:
        """Return None if a line is to be dropped, else how many were dropped before it.

        A second begins with the first line that passes in it, and anew if the clock is set back:
        C{now} may be a reactor's seconds, which are the time of day.
        """
        if not 0.0 <= now - self._began < 1.0:
            self._began = now
            self._passed = 0
        if self._passed >= self._lines:
            self.held += 1
            return None
        self._passed += 1
        held, self.held = self.held, 0
        return held
