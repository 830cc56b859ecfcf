"""How long to wait before the next dial."""

from __future__ import annotations

FIRST = 0.05
LONGEST = 2.5


def backoff(attempt: int, chance: float, first: float = FIRST, longest: float = LONGEST) -> float:
    """
    Exponential back-off with full jitter: a thousand guests don't come back at once.

    @param attempt: how many attempts in a row have failed, from 0.
    @param chance: a random number, from 0 to 1.
    @param first: the upper end of the first wait, in seconds; it doubles with each attempt.
    @param longest: the upper end of every wait, in seconds.
    @return: seconds, from 0 to the upper end of this attempt.
    """
    return chance * min(longest, first * 2.0 ** min(attempt, 64))
