"""
Tokens of data connections: each is good once, for one body, for the identity it was issued to.

A token is 128 bits of the system's randomness. What became of the last thousand that
are no longer good is remembered, so that the log can say why one was refused.

Compiled a second time: L{subproxy.fastpath._claim_watch}
(see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

import os
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from subproxy.subscription.bodies.late_ends import LateEnds

Carrier = TypeVar("Carrier")
"""What carries a body once its token was claimed."""

SIZE = 16
"""Random bytes of a token."""

NEVER = float("inf")

REMEMBERED = 1000
"""So many tokens that are no longer good are known."""


@dataclass(slots=True, eq=False)
class PendingClaim(Generic[Carrier]):
    """
    What a token stands for.

    @ivar identity: the only one that may claim it.
    @ivar exchange: the number that must be named with it.
    @ivar claimed: is given the data connection that carries the body.
    @ivar expired: is called when nobody has claimed it in time.
    """

    token: bytes
    identity: str
    exchange: int
    claimed: Callable[[Carrier], None]
    expired: Callable[[], None]
    due: float
    timer: IDelayedCall | None = None


class Tokens(Generic[Carrier]):
    """
    The tokens that are out.

    @param timeout: seconds within which a token must be claimed.
    @param prefix: what each token begins with, beside its randomness.
    @param predecessor: seconds from now on within which unknown tokens may be those of the process
        from which this one has taken over, whose guests dial here already.
    The compiled path issues and claims tokens by itself, in the same tables
    (L{subproxy.fastpath._claim_watch}).

    @ivar prefix: see above.
    @ivar promises: what the tokens that are out stand for.
    @ivar lapsing: those of them that must be claimed in time, the one that is due first before all
        others: all have the same time.
    @ivar spent: what became of those that are no longer good, the last C{REMEMBERED}.
    @ivar timer: looks for those that are due.
    @ivar ends: what guests are told before there is a token more.
    @ivar counts: how many were C{issued} and C{claimed}, and how many claims failed, by reason:
        C{unknown}, C{used}, C{late}, C{void}, C{foreign} (another identity), C{exchange} (the
        number is wrong), C{elsewhere} (unknown, but perhaps not to the process before this one).
    """

    def __init__(
        self,
        clock: IReactorTime,
        timeout: float,
        predecessor: float = 0.0,
        prefix: bytes = b"",
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self.timeout = timeout
        self.prefix = prefix
        self._alone = clock.seconds() + predecessor
        self.promises: dict[bytes, PendingClaim[Carrier]] = {}
        self.lapsing: dict[bytes, PendingClaim[Carrier]] = {}
        self.spent: OrderedDict[bytes, str] = OrderedDict()
        self.timer: IDelayedCall | None = None  # looks when the oldest is due
        self.ends = LateEnds(clock)

    def __len__(self) -> int:
        return len(self.promises)

    def issue(
        self,
        identity: str,
        exchange: int,
        claimed: Callable[[Carrier], None],
        expired: Callable[[], None],
        lapses: bool = True,
    ) -> PendingClaim[Carrier]:
        """
        A new token.

        @param lapses: from now on; else from when L{lapse} says so.
        """
        token = self.prefix + os.urandom(SIZE)
        promise = PendingClaim(token, identity, exchange, claimed, expired, NEVER)
        self.ends.tell()
        self.promises[token] = promise
        self.counts["issued"] += 1
        if lapses:
            self.lapse(promise)
        return promise

    def lapse(self, promise: PendingClaim[Carrier]) -> None:
        """The token of C{promise} must be claimed in time, from now on, unless it was."""
        if promise.token not in self.promises:
            return
        promise.due = self._clock.seconds() + self.timeout
        self.lapsing[promise.token] = promise
        if self.timer is None:
            self.wait()

    def wait(self) -> None:
        """Look when the token that lapses from now on, the only one, is due."""
        self.timer = self._clock.callLater(self.timeout, self._look)

    def claim(self, identity: str, exchange: int, token: bytes) -> PendingClaim[Carrier] | str:
        """Somebody names a token: what it stands for; or why it is not good."""
        promise = self.promises.get(token)
        if promise is None:
            nobodys = "unknown" if self._clock.seconds() >= self._alone else "elsewhere"
            reason = self.spent.get(token, nobodys)
        elif promise.identity != identity:
            reason = "foreign"
        elif promise.exchange != exchange:
            reason = "exchange"
        else:
            self.use(promise)
            return promise
        self.counts[reason] += 1
        return reason

    def use(self, promise: PendingClaim[Carrier]) -> None:
        """C{promise} is claimed by whom it was issued to."""
        self._spend(promise, "used")
        self.counts["claimed"] += 1

    def void(self, promise: PendingClaim[Carrier]) -> None:
        """The body of C{promise} goes another way, or nowhere; does nothing if it was spent."""
        self._spend(promise, "void")

    def _look(self) -> None:
        """Find those that are due, oldest first."""
        self.timer = None
        now = self._clock.seconds()
        for promise in self.lapsing.values():
            if promise.due > now:
                self.timer = self._clock.callLater(promise.due - now, self._look)
                break
            if promise.timer is None:
                self._overdue(promise)

    def _overdue(self, promise: PendingClaim[Carrier]) -> None:
        """If it was this process that stood still, a claim may be here: look once more."""
        promise.timer = self._clock.callLater(0, self._late, promise)

    def _late(self, promise: PendingClaim[Carrier]) -> None:
        self._spend(promise, "late")
        promise.expired()

    def _spend(self, promise: PendingClaim[Carrier], how: str) -> None:
        if self.promises.pop(promise.token, None) is None:
            return
        self.lapsing.pop(promise.token, None)
        timer, promise.timer = promise.timer, None
        if timer is not None and timer.active():
            timer.cancel()
        self.spent[promise.token] = how
        if len(self.spent) > REMEMBERED:
            self.spent.popitem(last=False)
