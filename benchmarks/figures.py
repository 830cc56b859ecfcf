"""The arithmetic of the tables: medians over rounds, and ratios pair by pair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from .measure import Sample

Measure = Callable[[Sample], float]


def select(
    samples: Iterable[Sample], contender: str, scenario: str, connections: int | None = None
) -> list[Sample]:
    """The samples of one cell of a table, by round."""
    chosen = [
        sample
        for sample in samples
        if sample.contender == contender
        and sample.scenario == scenario
        and (connections is None or sample.connections == connections)
    ]
    return sorted(chosen, key=lambda sample: sample.round)


def middle(samples: Sequence[Sample], measure: Measure) -> float | None:
    """The median over the rounds, None if there was none."""
    return median(measure(sample) for sample in samples) if samples else None


def paired_ratio(
    samples: Sequence[Sample], reference: Sequence[Sample], measure: Measure
) -> float | None:
    """The median over the rounds of (contender / reference), both of the same round.

    Pair by pair, because what disturbs the machine for a while disturbs both of a pair. Rounds
    in which either is missing do not count; None if no pair is left.
    """
    by_round = {sample.round: measure(sample) for sample in reference}
    ratios = [
        measure(sample) / by_round[sample.round] for sample in samples if by_round.get(sample.round)
    ]
    return median(ratios) if ratios else None


def spread(samples: Sequence[Sample], measure: Measure) -> tuple[float, float] | None:
    """The least and the greatest over the rounds."""
    values = [measure(sample) for sample in samples]
    return (min(values), max(values)) if values else None


def idle_bytes(before: int, after: int, connections: int) -> float:
    """Resident bytes that one idle connection added."""
    return (after - before) / connections


def rotated(items: Sequence[str], turn: int) -> list[str]:
    """The contenders of one round: each round starts with another one."""
    start = turn % len(items) if items else 0
    return [*items[start:], *items[:start]]
