"""How a member that has failed lately answers: counts, which C{outliers} judges."""

from __future__ import annotations

from typing import Final

VOLUME: Final = 20
"""Answers below which a share says nothing."""


class Outcomes:
    """
    How a watched member has answered; flat, because the compiled path reads and writes it.

    answers: good ones in this interval; failures: the bad ones. row: failures since the last good
    one. began: when the interval began. suspect: it has less weight. until: when it comes back, 0
    if it is not out. times: how often it was out, less what quiet intervals have taken back.
    """

    __slots__ = ("answers", "began", "failures", "row", "suspect", "times", "until")

    def __init__(self, now: float) -> None:
        self.answers = 0
        self.failures = 0
        self.row = 0
        self.began = now
        self.suspect = False
        self.until = 0.0
        self.times = 0

    @property
    def share(self) -> float:
        """Of failures among all answers; 0 if these are too few."""
        total = self.answers + self.failures
        return self.failures / total if total >= VOLUME else 0.0
