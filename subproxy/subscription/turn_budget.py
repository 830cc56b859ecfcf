"""
A share of the reactor for work that can wait a moment: accepting guests, greeting
and registering them.

A thousand guests that come at once, or one that registers as fast as it can, must not keep
those waiting who are served already.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

BUDGET = 0.0002
"""
Seconds of one turn of the reactor that newcomers may take. A request takes at least two turns:
what newcomers take of each is felt twice.
"""


class TurnBudget:
    """
    Tells whether the share of this reactor turn is spent, and calls later who has to wait,
    in the order in which they came.

    @param timer: seconds; those of C{clock} if None.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        budget: float = BUDGET,
        timer: Callable[[], float] | None = None,
    ) -> None:
        self._clock = clock
        self._budget = budget
        self._timer = timer or clock.seconds
        self._began = -1.0
        self._waiting: deque[Callable[[], None]] = deque()

    def exhausted(self) -> bool:
        """Whether who asks should wait; the first to ask in a turn starts its clock."""
        if self._began < 0.0:
            self._began = self._timer()
            self._clock.callLater(0, self._next)
        return bool(self._waiting) or self._timer() - self._began > self._budget

    def defer(self, turn: Callable[[], None]) -> None:
        """Call C{turn} when it is its turn; only after L{exhausted} was asked."""
        self._waiting.append(turn)

    def _next(self) -> None:
        """A new turn of the reactor."""
        if not self._waiting:
            self._began = -1.0
            return
        # What comes in now still waits behind those who came before.
        waiting, self._waiting = self._waiting, deque()
        self._began = self._timer()
        self._clock.callLater(0, self._next)
        while waiting and self._timer() - self._began <= self._budget:
            turn = waiting.popleft()
            try:
                turn()
            except Exception:
                self._log.failure("a turn failed")
        waiting.extend(self._waiting)
        self._waiting = waiting
