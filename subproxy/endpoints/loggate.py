"""A limit on how often something that strangers can cause is logged."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

__all__ = ["LogGate"]


class LogGate:
    """Lets so many lines a second through, and counts what it held back.

    A guest can cause refusals as fast as it can connect; a disk must not fill,
    nor the reactor spend its time on formatting, at its pleasure.
    """

    def __init__(self, clock: IReactorTime, perSecond: int = 10) -> None:
        self._clock = clock
        self._perSecond = perSecond
        self._second = -1
        self._passed = 0
        self._held = 0

    def admit(self) -> int | None:
        """None when the line is to be dropped, else how many were dropped before it."""
        second = int(self._clock.seconds())
        if second != self._second:
            self._second = second
            self._passed = 0
        if self._passed >= self._perSecond:
            self._held += 1
            return None
        self._passed += 1
        held, self._held = self._held, 0
        return held
