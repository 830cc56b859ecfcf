"""
Deadlines: who is waited for, for how long in all, and the one timer that looks.

A deadline is total: what a client sends in between does not extend it. A body has a slowest
rate instead, and a grace by which it may be behind that.

There is no delayed call a request: connections carry their next deadline as a number, and
the L{Sweeper} of their factory compares it to the time every half second. A
deadline passes up to that much late; 10,000 connections cost it about a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

NEVER = float("inf")

INTERVAL = 0.5
"""Seconds between two looks at the deadlines."""


class Pace:
    """
    How far one side is behind the slowest rate allowed, in seconds.

    Each second that it is waited for adds one, each byte that it moves takes off what a byte
    may take. It is never ahead: what went fast earlier does not pay for a stall now. Time in
    which the other side, or the proxy, is what stops the body does not count.

    @param moved: what was moved before this body began, in the counter that is looked at.
    """

    __slots__ = ("_behind", "_moved", "_since")

    def __init__(self, moved: int = 0) -> None:
        self._behind = 0.0
        self._moved = moved
        self._since = NEVER

    def start(self, now: float) -> None:
        """From now on this side is waited for."""
        if self._since == NEVER:
            self._since = now

    def stop(self, now: float) -> None:
        """From now on it is not."""
        if self._since != NEVER:
            self._behind += now - self._since
            self._since = NEVER

    def exceeded(self, now: float, moved: int, grace: float, rate: int) -> bool:
        """
        Whether it is more than C{grace} seconds behind.

        @param moved: bytes that it moved, as a counter that only grows.
        @param rate: bytes a second; 0 allows any time.
        """
        if not rate or self._since == NEVER:
            return False
        behind = self._behind + now - self._since - (moved - self._moved) / rate
        self._behind = max(0.0, behind)
        self._moved = moved
        self._since = now
        return behind > grace


class HasDeadline(Protocol):
    """What the sweeper watches."""

    deadline: float

    def deadlinePassed(self, now: float) -> None:
        """The deadline is over; called again at each sweep until it is moved."""


class Sweeper:
    """
    Looks at the deadlines of many connections.

    @param clock: what calls it every half second.
    @param monotonic: the time that deadlines are in.
    @param tick: called at each sweep, before the deadlines are looked at.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        monotonic: Callable[[], float],
        tick: Callable[[], None] | None = None,
    ) -> None:
        self.watched: set[HasDeadline] = set()
        self._monotonic = monotonic
        self._tick = tick
        self._loop = LoopingCall(self.sweep)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin; does nothing when it has begun."""
        if not self._loop.running:
            done: Deferred[LoopingCall] = self._loop.start(INTERVAL, now=False)
            done.addErrback(lambda failure: self._log.failure("the sweeper stopped", failure))

    def stop(self) -> None:
        """End; may be started again."""
        if self._loop.running:
            self._loop.stop()

    def sweep(self) -> None:
        """Look at all deadlines once."""
        if self._tick is not None:
            self._tick()
        now = self._monotonic()
        for each in [each for each in self.watched if each.deadline <= now]:
            try:
                each.deadlinePassed(now)
            except Exception:
                self._log.failure("a deadline could not be kept")
                each.deadline = NEVER
