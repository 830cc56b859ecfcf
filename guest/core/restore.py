"""
Was this machine restored from a snapshot?

A restored machine goes on with the instance id of its snapshot, which may have been replaced
since, and which its clones have too (docs/protocol.md, "Restored machines"). Where the VMM sets
the wall clock at a restore, that has jumped against the monotonic clock, and it shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable

JUMP = 10.0
"""Seconds that the wall clock must be ahead by: more than a clock that is merely corrected."""


def drift() -> float:
    """Seconds from the monotonic to the wall clock."""
    return time.time() - time.monotonic()


class RestoreDetector:
    """Compares the two clocks with what they were when it last looked."""

    def __init__(self, drift: Callable[[], float] = drift) -> None:
        """
        Look for the first time.

        @param drift: seconds from the monotonic to the wall clock.
        """
        self._drift = drift
        self._before = drift()

    def restored(self) -> bool:
        """Whether the wall clock has jumped ahead by more than L{JUMP} since the last look."""
        before, self._before = self._before, self._drift()
        return self._before - before > JUMP
