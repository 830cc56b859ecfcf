"""When a name's certificate is ordered: at once, when it is to be renewed, or after failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

FIRST_PAUSE: Final = 60.0
"""Seconds from a first failure to the next attempt; each further one doubles them."""

LONGEST_PAUSE: Final = 86400.0

LIMITED_PAUSE: Final = 3600.0
"""Seconds at least after the authority has said that it was asked too often."""

SETTLE: Final = 600.0
"""Seconds in which what was got is put in force; if it is not, another one would not be either:
each further one that is not has twice as long."""

SHORT_LIFE: Final = 10 * 86400.0
"""Seconds of life below which a certificate is renewed at its half, not at two thirds."""


def usual_renewal(not_before: float, not_after: float) -> float:
    """When a certificate is renewed of which the authority says nothing."""
    life = not_after - not_before
    return not_after - (life / 2 if life < SHORT_LIFE else life / 3)


class KnownCertificate(Protocol):
    """
    What is known of a certificate in force.

    @ivar not_before: seconds since the epoch, as is C{not_after}.
    """

    @property
    def not_before(self) -> float:
        """See above."""

    @property
    def not_after(self) -> float:
        """See above."""


def _dates(known: KnownCertificate | None) -> tuple[float, float] | None:
    """By which two of one name are told apart, read twice or not."""
    return None if known is None else (known.not_before, known.not_after)


@dataclass(slots=True)
class NameSchedule:
    """
    One name.

    @ivar renew_at: when its certificate is to be renewed (seconds since the epoch); 0: there is
        none of ours.
    @ivar ask_at: when the authority is asked for that again.
    @ivar failures: in a row.
    @ivar not_before: no attempt before then, because of failures.
    @ivar settled_at: no attempt before then, if what was got last is not in force.
    @ivar replaces: what was in force when that was ordered; None: nothing was.
    @ivar lost: how many were got in a row that never were in force.
    """

    renew_at: float = 0.0
    ask_at: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    settled_at: float = 0.0
    replaces: KnownCertificate | None = None
    lost: int = 0

    def settles(self, known: KnownCertificate | None, now: float) -> bool:
        """
        Whether what was got last is still to be put in force, and nothing to be done before.

        @param known: what is in force now; None: nothing is.
        """
        if _dates(known) == _dates(self.replaces):
            return now < self.settled_at
        self.lost = 0
        return False

    def is_due(self, now: float) -> bool:
        """Whether it is to be ordered at C{now}."""
        return now >= self.renew_at and now >= self.not_before

    def failed(self, now: float, limited: bool, random: Callable[[], float]) -> float:
        """
        Note a failure.

        @param limited: the authority was asked too often.
        @param random: from 0 to 1, so that many names are not tried again at once.
        @return: seconds until the next attempt.
        """
        pause = min(FIRST_PAUSE * 2.0 ** min(self.failures, 20), LONGEST_PAUSE)
        if limited:
            pause = max(pause, LIMITED_PAUSE)
        pause *= 1 + random() / 4
        self.failures += 1
        self.not_before = now + pause
        return pause

    def issued(self, now: float) -> None:
        """There is a new certificate; of which it is to be asked when it is to be renewed."""
        self.renew_at, self.failures, self.ask_at, self.not_before = 0.0, 0, 0.0, 0.0
        self.settled_at = now + min(SETTLE * 2.0 ** min(self.lost, 20), LONGEST_PAUSE)
        self.lost += 1
