"""
Is the guest there, and how fast: pings with a nonce, by the proxy's own monotonic clock.

Only the answer to our own question counts: a guest that talks but does not
answer pings is as good as gone. The pings of many subscriptions are spread over the interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from subproxy.subscription.timer_wheel import TimerWheel


def period(interval: float, ping_timeout: float) -> float:
    """
    How often a subscription has its turn, in seconds.

    Shorter than the interval, where that is needed for a time-out to be seen soon after it passed.
    """
    return min(interval, ping_timeout / 2)


class Liveness:
    """
    The pings of one subscription.

    Time is measured by C{now}, which is monotonic: the clock of a reactor may jump. By as much as
    a look at it is late, this process stood still itself (a busy host, a suspended one): that is
    not held against the guest, whose pong may lie unread. Nor is a guest given up of which we read
    slowly because of what it has said before: it is not silent, and would only begin again.

    @param rounds: has a turn each L{period}, for all subscriptions.
    @ivar send: says C{ping} with that nonce.
    @ivar measured: told of each round trip, in seconds.
    @ivar missed: told, once, when a pong is later than C{ping_timeout}.
    @ivar still_missed: told at each turn after that, until one comes.
    @ivar returned: told when pongs come again after that.
    @ivar dead: told when nothing was answered for C{timeout}.
    @ivar unread: says whether something of the guest waits to be read, as its pong may.
    """

    def __init__(
        self,
        rounds: TimerWheel,
        interval: float,
        ping_timeout: float,
        timeout: float,
        *,
        now: Callable[[], float],
        send: Callable[[bytes], None],
        measured: Callable[[float], None],
        missed: Callable[[], None],
        still_missed: Callable[[], None],
        returned: Callable[[], None],
        dead: Callable[[], None],
        unread: Callable[[], bool],
    ) -> None:
        self._rounds = rounds
        self._now = now
        self._interval = interval
        self._ping_timeout = ping_timeout
        self._timeout = timeout
        self._send = send
        self._measured = measured
        self._missed = missed
        self._still_missed = still_missed
        self._returned = returned
        self._dead = dead
        self._unread = unread
        self._count = 0
        self._nonce: bytes | None = None
        self._asked = 0.0
        self._step = period(interval, ping_timeout)
        self._due = math.inf
        self._overdue = False

    def start(self) -> None:
        """Ping at once, to have a first latency; then at intervals, from a random moment."""
        self.tick()
        self._due = math.inf
        self._rounds.join(self)

    def stop(self) -> None:
        """No more pings."""
        self._rounds.leave(self)

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

    def tick(self) -> bool:
        """
        See L{Turn}: ask, or see how long there has been no answer.

        @return: it was asked; L{told} then says when.
        """
        now = self._now()
        late = max(0.0, now - self._due)
        self._due = now + self._step
        if self._nonce is None:
            if self._count and now - self._asked < self._interval * 0.75:
                return False
            self._count += 1
            self._nonce = b"%x" % self._count
            self._asked = now
            self._send(self._nonce)
            return True
        self._asked += late
        silent = now - self._asked
        if silent >= self._timeout and not self._unread():
            self.stop()
            self._dead()
        elif silent >= self._ping_timeout and not self._overdue:
            self._overdue = True
            self._missed()
        elif self._overdue:
            self._still_missed()
        return False

    def told(self) -> None:
        """See L{Turn}: the pings of a slot leave together, so that is when the time begins."""
        self._asked = self._now()

    def failed(self) -> None:
        """See L{Turn}: who can't be asked is given up."""
        self.stop()
        self._dead()
