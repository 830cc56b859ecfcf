"""When a program that has ended is started again. Reads no clock."""

from __future__ import annotations

from enum import Enum

FIRST = 0.1
"""Seconds until the first restart; each that follows at once waits twice as long."""

LONGEST = 30.0
"""Seconds until a restart at most."""

SETTLED = 10.0
"""A program that has served for so many seconds has started well: the next wait is the first."""


class RestartMode(Enum):
    """After which ends a program is started again; named as by Docker and systemd."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"

    def restarts(self, status: int) -> bool:
        """Whether a program that has ended with C{status} by itself is started again."""
        if self is RestartMode.ON_FAILURE:
            return status != 0
        return self is RestartMode.ALWAYS


class RestartBackoff:
    """
    How long to wait, by how the last runs went.

    @param first: seconds until the first restart.
    @param longest: seconds until a restart at most.
    @param settled: seconds of serving after which a run counts as a good one.
    """

    def __init__(
        self, first: float = FIRST, longest: float = LONGEST, settled: float = SETTLED
    ) -> None:
        self._first = first
        self._longest = longest
        self._settled = settled
        self._failed = 0

    def ended(self, served: float) -> float:
        """
        A run is over.

        @param served: for how many seconds it took requests.
        @return: how many seconds to wait before the next.
        """
        if served >= self._settled:
            self._failed = 0
        delay = min(self._longest, self._first * 2.0 ** min(self._failed, 64))
        self._failed += 1
        return delay
