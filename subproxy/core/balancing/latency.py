"""Exponentially weighted moving average of round-trip times.

All times are seconds. Samples come at uneven intervals, so the weight of a sample follows from
the time since the one before it: after C{TIME_CONSTANT} seconds the past counts for 1/e. A rise
is believed sooner than a fall, because a guest that has become slow costs more than one that
has become fast earns.

Clamps: below C{FLOOR} a difference between two guests is scheduling noise, and must not decide
who gets the requests; above C{CEILING} a guest is about to be ejected anyway.
"""

from __future__ import annotations

from math import exp
from typing import Final

FLOOR: Final = 0.001
CEILING: Final = 30.0
TIME_CONSTANT: Final = 10.0
RISE_TIME_CONSTANT: Final = 2.5

INITIAL: Final = FLOOR
"""What a member counts with before its first pong; slow start keeps it from being flooded."""

UNKNOWN: Final = -1.0
"""The time of the last sample of a member that never had one."""


def clamp(sample: float) -> float:
    """Return C{sample} within FLOOR and CEILING; what is not a number counts as CEILING."""
    # In this order, so that what is not a number becomes CEILING.
    return max(FLOOR, min(CEILING, sample))


def ewma(average: float, last: float, sample: float, now: float) -> float:
    """Return the average after C{sample} was taken at C{now}, the one before it at C{last}.

    The first sample (C{last} is UNKNOWN) is the average. A sample of the same instant as the
    last one, or from before it, changes nothing.
    """
    sample = clamp(sample)
    if last == UNKNOWN:
        return sample
    elapsed = now - last
    if elapsed <= 0.0:
        return average
    constant = RISE_TIME_CONSTANT if sample > average else TIME_CONSTANT
    return sample + (average - sample) * exp(-elapsed / constant)
