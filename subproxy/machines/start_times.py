"""How long starts took, counted."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds: the upper bounds of what is counted together; what is longer is beyond the last."""

PHASE_BOUNDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, *BOUNDS)
"""Those of a part of a start."""


class StartTimes:
    """
    Starts by their length.

    @ivar total: seconds of all together.
    """

    def __init__(self, bounds: Sequence[float] = BOUNDS) -> None:
        self.total = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, seconds: float) -> None:
        """One more."""
        self.total += seconds
        self._counts[bisect_left(self._bounds, seconds)] += 1

    def cumulative(self) -> list[tuple[str, float]]:
        """How many took at most as long as each bound, as Prometheus wants it."""
        found: list[tuple[str, float]] = []
        so_far = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            so_far += count
            found.append((bound, so_far))
        return found
