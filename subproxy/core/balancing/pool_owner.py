"""
Who serves a pool when it is asked for: a machine that is started then.

Its routes are declared: they exist without members, and whoever asks waits until the machine has
registered. Flat, and told by others what to decide by; it knows nothing of machines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

UNTIL_UP: Final = -1.0
"""C{PoolOwner.up_since} of one that is not up."""


class PoolOwner:
    """
    See above.

    @ivar name: what it is called.
    @ivar patience: seconds that a request waits for it to come up.
    @ivar waiting: requests that wait in its pools.
    @ivar up_since: when it was up first, by what is known here; or C{UNTIL_UP}.
    @ivar refused_until: until when requests are refused at once: it has failed too often.
    @ivar wanted: is called when the first request begins to wait.
    @ivar concrete: makes the owner of a host, where this one stands for many: returns its pool, or
        why there is none. None of any other: requests wait for it itself.
    @ivar named: with C{concrete}: the name of the owner that it would make for a host, or None.
    @ivar answered: is called when one that has waited is being answered, also with who answers.
    """

    __slots__ = (
        *("answered", "concrete", "name", "named", "patience", "refused_until", "up_since"),
        *("waiting", "wanted"),
    )

    def __init__(
        self, name: str, patience: float, wanted: Callable[[PoolOwner], object] = lambda _: None
    ) -> None:
        self.named: Callable[[bytes], str | None] | None = None
        self.concrete: Callable[[bytes, bytes], Any] | None = None
        self.answered: Callable[[PoolOwner, Any], object] = lambda _, by: None
        self.name = name
        self.patience = patience
        self.waiting = 0
        self.up_since = UNTIL_UP
        self.refused_until = 0.0
        self.wanted = wanted

    def called(self, host: bytes) -> str | None:
        """What is woken for a host, which is spelt for routing; None: nothing."""
        return self.name if self.named is None else self.named(host)

    def wait(self) -> None:
        """One more request waits."""
        self.waiting += 1
        if self.waiting == 1:
            self.wanted(self)

    def refusal(self, now: float) -> int:
        """Seconds after which a client may ask again; 0: it may wait."""
        return max(1, math.ceil(self.refused_until - now)) if now < self.refused_until else 0

    def serves_not(self, vacant_since: float, now: float, hold: float) -> bool:
        """
        Whether a pool has no members because it is up and serves something else.

        @param vacant_since: of that pool.
        @param hold: seconds that it has to register.
        """
        return self.up_since >= max(vacant_since, 0.0) and now >= self.up_since + hold
