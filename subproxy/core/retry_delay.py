"""How long to wait before the store, or a host, is asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 5.0


class RetryDelay:
    """
    Twice as long each time, and never the same for all: between half of it and the whole.

    @param random: from 0 to 1.
    @ivar failures: in a row.
    """

    def __init__(
        self,
        random: Callable[[], float],
        first: float = FIRST_DELAY,
        longest: float = LONGEST_DELAY,
    ) -> None:
        self.failures = 0
        self._random = random
        self._first = first
        self._longest = longest

    def failed(self) -> float:
        """It failed: seconds to wait."""
        whole = min(self._longest, self._first * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return whole * (0.5 + 0.5 * self._random())

    def succeeded(self) -> None:
        """It worked."""
        self.failures = 0
