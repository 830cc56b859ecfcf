"""May an exchange that failed be given to another member?

Four things must hold:

- it is *safe*: no guest can have executed it, or executing it twice is as good as once (an
  idempotent method, RFC 9110 section 9.2.2), and no byte of a response has gone to the client;
- it is *possible*: the request body is still held, whole, and there were not too many attempts;
- it is *of use*: somebody is there to take it;
- it is *affordable*: the pool's budget is not used up, so that retries cannot multiply the load
  of an application that is failing as a whole.

A POST that a guest may have executed is never sent again.

This is asked before anything is taken from a guest that may still answer: else it stays there.
"""

from __future__ import annotations

from enum import IntEnum, auto
from math import expm1
from typing import Final

IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""RFC 9110 section 9.2.2; method names are case-sensitive."""

MAX_ATTEMPTS: Final = 3
"""Members that are tried for one exchange."""

RATIO: Final = 0.2
"""Retries a request that a pool may make."""

MIN_RATE: Final = 10.0
"""Retries a second that a pool may make however few requests it has."""

WINDOW: Final = 10.0
"""Seconds for which unused budget is worth something: the time constant of its decay."""


class Progress(IntEnum):
    """How far an exchange has come on the member that failed."""

    NOT_SENT = auto()
    """No guest can have executed it: it was not written, or was refused unexecuted."""
    SENT = auto()
    """A guest may have executed it."""
    RESPONDING = auto()
    """Some of its response has gone to the client."""


class RetryDecision(IntEnum):
    """Whether to try again, and if not, why."""

    RETRY = auto()
    UNSAFE = auto()
    """A guest may have executed it, and twice is not as good as once."""
    RESPONDING = auto()
    """The client has seen part of a response."""
    BODY_GONE = auto()
    """The request body was streamed and is not held any more."""
    ATTEMPTS = auto()
    """It was tried often enough."""
    BUDGET = auto()
    """The pool has spent its retries."""
    NOBODY = auto()
    """Nobody else is there to take it."""


SAFE: Final[dict[Progress, dict[bool, RetryDecision]]] = {
    Progress.NOT_SENT: {True: RetryDecision.RETRY, False: RetryDecision.RETRY},
    Progress.SENT: {True: RetryDecision.RETRY, False: RetryDecision.UNSAFE},
    Progress.RESPONDING: {True: RetryDecision.RESPONDING, False: RetryDecision.RESPONDING},
}
"""By progress, and by whether the method is idempotent."""


class RetryBudget:
    """What a pool may spend on retries: a share of its recent requests, and a minimum.

    C{requests} is counted up by whoever sends a request for the first time: a bare attribute,
    because that is once a request. All else happens at the time of a retry. Deposits decay
    with the time constant WINDOW, so that a quiet hour buys no storm: the balance of a steady
    pool is what it deposits in WINDOW seconds.
    """

    __slots__ = ("_balance", "_last", "min_rate", "ratio", "requests", "window")

    def __init__(
        self,
        now: float,
        *,
        ratio: float = RATIO,
        min_rate: float = MIN_RATE,
        window: float = WINDOW,
    ) -> None:
        if ratio < 0.0 or min_rate < 0.0 or window <= 0.0:
            raise ValueError("a retry budget needs a window, and cannot be negative")
        self.ratio = ratio
        self.min_rate = min_rate
        self.window = window
        self.requests = 0
        self._last = now
        self._balance = min_rate * window

    def balance(self, now: float) -> float:
        """Return how many retries could be made now."""
        self._settle(now)
        return self._balance

    def withdraw(self, now: float) -> bool:
        """Spend one retry if the balance allows it; tell whether it did."""
        self._settle(now)
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True

    def _settle(self, now: float) -> None:
        """Decay what was there, and deposit what came in since, as if it had come evenly."""
        deposit = self.requests * self.ratio
        self.requests = 0
        elapsed = (now - self._last) / self.window
        if elapsed <= 0.0:
            self._balance += deposit
            return
        self._last = now
        lost = -expm1(-elapsed)
        self._balance += (self.min_rate * self.window - self._balance) * lost
        self._balance += deposit * (lost / elapsed)


def decide(
    method: bytes,
    progress: Progress,
    *,
    body_held: bool,
    attempts: int,
    budget: RetryBudget,
    now: float,
    taker: bool = True,
    max_attempts: int = MAX_ATTEMPTS,
) -> RetryDecision:
    """Return whether the exchange moves to another member; RETRY has been paid for.

    See L{may_move} for the rest.
    """
    verdict = may_move(
        method,
        progress,
        body_held=body_held,
        attempts=attempts,
        taker=taker,
        max_attempts=max_attempts,
    )
    if verdict is RetryDecision.RETRY and not budget.withdraw(now):
        return RetryDecision.BUDGET
    return verdict


def may_move(
    method: bytes,
    progress: Progress,
    *,
    body_held: bool,
    attempts: int,
    taker: bool = True,
    max_attempts: int = MAX_ATTEMPTS,
) -> RetryDecision:
    """Return whether the exchange could move to another member, whatever that costs.

    C{attempts} counts the members that were given it so far, the failed one included. C{taker} is
    whether anybody is there, or is waited for, who could take it.
    """
    verdict = SAFE[progress][method in IDEMPOTENT]
    if verdict is not RetryDecision.RETRY:
        return verdict
    if not body_held:
        return RetryDecision.BODY_GONE
    if attempts >= max_attempts:
        return RetryDecision.ATTEMPTS
    if not taker:
        return RetryDecision.NOBODY
    return RetryDecision.RETRY
