"""When a machine that fails to start is tried again."""

from __future__ import annotations

from typing import Final

FIRST: Final = 1.0
LONGEST: Final = 300.0
"""Seconds until the next attempt after the first failure, and at most; twice as long each time."""

PATIENT: Final = 3
"""Failures in a row from which requests are refused at once until the next attempt."""

STABLE: Final = 10.0
"""Seconds that an instance has to be up for its start to count as a success."""


class BackOff:
    """
    Failures of a machine in a row.

    @ivar failures: how many there are.
    @ivar until: when the next attempt may be.
    @ivar reason: of the last one.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.until = 0.0
        self.reason = ""

    def failed(self, reason: str, now: float) -> float:
        """One more: the seconds until the next attempt."""
        self.failures += 1
        self.reason = reason
        delay = min(LONGEST, FIRST * 2.0 ** min(self.failures - 1, 30))
        self.until = now + delay
        return delay

    def succeeded(self) -> None:
        """It has been up for long enough, or an operator wants it tried at once."""
        self.failures = 0
        self.until = 0.0
        self.reason = ""

    def may_start(self, now: float) -> bool:
        """Whether an attempt may be made."""
        return now >= self.until

    def refuses(self, now: float) -> bool:
        """Whether requests are not to wait for the next attempt."""
        return self.failures >= PATIENT and now < self.until
