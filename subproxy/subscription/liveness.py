"""
Is the guest there, and how fast: pings with a nonce, by the proxy's own monotonic clock.

Only the answer to our own question counts: a guest that talks but does not
answer pings is as good as gone. The pings of many subscriptions are spread over the interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure


class Random(Protocol):
    """What of L{random.Random} is used."""

    def random(self) -> float:
        """From 0 to below 1."""


class Liveness:
    """
    The pings of one subscription.

    Time is measured by C{now}, which is monotonic: the clock of a reactor may jump. By as much as
    a look at it is late, this process stood still itself (a busy host, a suspended one): that is
    not held against the guest, whose pong may lie unread.

    @ivar send: says C{ping} with that nonce.
    @ivar measured: told of each round trip, in seconds.
    @ivar missed: told, once, when a pong is later than C{ping_timeout}.
    @ivar returned: told when pongs come again after that.
    @ivar dead: told when nothing was answered for C{timeout}.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        interval: float,
        ping_timeout: float,
        timeout: float,
        random: Random,
        *,
        now: Callable[[], float],
        send: Callable[[bytes], None],
        measured: Callable[[float], None],
        missed: Callable[[], None],
        returned: Callable[[], None],
        dead: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._now = now
        self._interval = interval
        self._ping_timeout = ping_timeout
        self._timeout = timeout
        self._random = random
        self._send = send
        self._measured = measured
        self._missed = missed
        self._returned = returned
        self._dead = dead
        self._count = 0
        self._nonce: bytes | None = None
        self._asked = 0.0
        self._due = math.inf
        # Checked more often than asked, so that a time-out is seen soon after it passed.
        self._step = min(interval, ping_timeout / 2)
        self._overdue = False
        self._loop: LoopingCall | None = None
        self._first: IDelayedCall | None = None

    def start(self) -> None:
        """Ping at once, to have a first latency; then at intervals, from a random moment."""
        self._tick()
        self._due = math.inf
        self._first = self._clock.callLater(self._random.random() * self._interval, self._begin)

    def stop(self) -> None:
        """No more pings."""
        first, self._first = self._first, None
        if first is not None:
            first.cancel()
        loop, self._loop = self._loop, None
        if loop is not None and loop.running:
            loop.stop()

    def pong(self, nonce: bytes) -> bool:
        """The guest answered; False if it was no answer to our question."""
        if self._nonce is None or nonce != self._nonce:
            return False
        self._nonce = None
        self._measured(self._now() - self._asked)
        if self._overdue:
            self._overdue = False
            self._returned()
        return True

    def _begin(self) -> None:
        self._first = None
        loop = self._loop = LoopingCall(self._tick)
        loop.clock = self._clock
        loop.start(self._step, now=True).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("liveness stopped", failure=failure)
        self._dead()

    def _tick(self) -> None:
        now = self._now()
        late = max(0.0, now - self._due)
        self._due = now + self._step
        if self._nonce is None:
            if not self._count or now - self._asked >= self._interval * 0.75:
                self._count += 1
                self._nonce = b"%x" % self._count
                self._asked = now
                self._send(self._nonce)
            return
        self._asked += late
        silent = now - self._asked
        if silent >= self._timeout:
            self.stop()
            self._dead()
        elif silent >= self._ping_timeout and not self._overdue:
            self._overdue = True
            self._missed()
