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

SLICE = 0.0005
"""
Seconds that the sweeper takes of one turn of the reactor: a thousand that take their answers
slowly cost as many system calls a sweep, and to cut one costs a tenth of a millisecond.
"""


class MinDataRate:
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

    @property
    def started(self) -> bool:
        """This side is waited for."""
        return self._since != NEVER

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

    def deadline_passed(self, now: float) -> bool | None:
        """
        The deadline is over; called again at each sweep until it is moved.

        @return: true if that was a share of what there is to do: it is called again in this sweep,
            when others have had their turn.
        """


class Sweeper:
    """
    Looks at the deadlines of many connections.

    Who is to be asked is found at once; they are asked a slice a turn of the reactor, so that
    nobody else waits behind all of them. Who has much to do does a share of it each time.

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
        self._clock = clock
        self._monotonic = monotonic
        self._tick = tick
        self._passed: list[HasDeadline] = []  # who is to be asked in this sweep
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
        self._passed.clear()

    def sweep(self) -> None:
        """Look at all deadlines once; not while the last sweep still goes on."""
        if self._tick is not None:
            self._tick()
        if not self._passed:
            now = self._monotonic()
            self._passed = [each for each in self.watched if each.deadline <= now]
            self._ask(now)

    def _ask(self, now: float) -> None:
        """Ask some of those whose deadlines have passed."""
        passed, until = self._passed, now + SLICE
        while passed:
            each = passed.pop()
            # Those before it may have moved its deadline, or ended it.
            if each.deadline <= now and each in self.watched:
                try:
                    if each.deadline_passed(now):
                        passed.insert(0, each)
                except Exception:
                    self._log.failure("a deadline could not be kept")
                    each.deadline = NEVER
                if self._monotonic() >= until:
                    break
        if passed:
            self._clock.callLater(0, self._ask_more)

    def _ask_more(self) -> None:
        self._ask(self._monotonic())
