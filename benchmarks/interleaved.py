"""Rounds of several contenders in one run, and ratios that are made pair by pair."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator


def in_turn(names: Iterable[str], rounds: int) -> Iterator[tuple[int, str]]:
    """All of these in each round, one round there and the next back: the round, and who."""
    there = list(names)
    for turn in range(rounds):
        for name in there if turn % 2 else reversed(there):
            yield turn, name


def spread(ratios: Iterable[float]) -> str:
    """The middle of these, the least and the greatest."""
    found = sorted(ratios)
    return f"{statistics.median(found):.2f}, {found[0]:.2f} to {found[-1]:.2f}"
