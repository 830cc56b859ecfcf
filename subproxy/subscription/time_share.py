"""
A virtual machine's share of the reactor's time.

A message costs what it costs: a frame of a thousand elements takes fifty times as long as a ping,
and a machine may have hundreds of connections. So what is shared is time, and a machine has
one L{TimeShare} for all of its connections. Who has used it up goes on in the next turn of the
reactor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from subproxy.reactor.interfaces import IReactorTurns

SHARE = 0.001
"""
Seconds of one turn of the reactor that the messages of one virtual machine may take, to which what
the last of them takes beyond is added. A request takes at least two turns: what a
neighbour takes of each is felt twice. With 2 ms, 16 connections that ask 4,000 times a second are
not served as fast as they ask; the answers of an honest guest to 256 cost the same with 1 ms.
"""


DEBT = 10
"""Shares that are made up for at most: time passes also while the whole process is stopped."""


class TimeShare:
    """
    The time of one identity.

    What was used is made up for turn by turn; so who used half of its share in this turn and
    half in the last has to wait for the next one, too, but never longer, and nobody needs to
    tell the share of every turn.

    Where the reactor counts its turns, as those of L{subproxy.reactor} do, turns in which less was
    used make up for it, too: who never uses a share in a turn never waits.

    @ivar used: seconds that were used and are not made up for.
    @ivar timer: what they are measured by, in seconds.
    @param timer: those of C{clock} if None.
    """

    __slots__ = ("_clock", "_reached", "_turn", "_waiting", "most", "timer", "used")
    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        most: float = SHARE,
        timer: Callable[[], float] | None = None,
    ) -> None:
        self._clock = clock
        self._waiting: deque[Callable[[], None]] = deque()
        self.most = most
        self.timer = timer or clock.seconds
        self.used = 0.0
        # Says the number of the turn that the reactor has reached.
        self._reached: Callable[[], int] | None = None
        if IReactorTurns.providedBy(clock):
            self._reached = clock.turnNumber
        self._turn = 0  # that with which the last has made up for what was used

    def __repr__(self) -> str:
        return f"<TimeShare {self.used:.6f} of {self.most} s used, {len(self._waiting)} wait>"

    def spent(self) -> bool:
        """Whether the share is used up, by what the turns since then do not make up for."""
        if self.used < self.most:
            return False
        if self._reached is not None:
            passed = self._reached() - self._turn
            if passed > 0:
                self._turn += passed
                self.used = max(0.0, self.used - passed * self.most)
        return self.used >= self.most

    def exhausted(self) -> bool:
        """Whether who asks should wait: the share is used up, or others wait already."""
        return self.spent() or bool(self._waiting)

    def defer(self, turn: Callable[[], None]) -> None:
        """Call C{turn} when it is its turn, in a later one of the reactor."""
        if not self._waiting:
            self._clock.callLater(0, self._next)
        self._waiting.append(turn)

    def _next(self) -> None:
        """A new turn of the reactor."""
        self.used = min(max(0.0, self.used - self.most), DEBT * self.most)
        self._turn += 1
        waiting, self._waiting = self._waiting, deque()
        while waiting and self.used < self.most:
            turn = waiting.popleft()
            try:
                turn()
            except Exception:
                self._log.failure("a turn failed")
        if waiting and not self._waiting:
            self._clock.callLater(0, self._next)
        # Who had to wait again is behind those who have not had their turn.
        waiting.extend(self._waiting)
        self._waiting = waiting
