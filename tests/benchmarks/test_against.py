"""Tests of benchmarks.against: its arithmetic; the processes are those of the benchmark."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.against import ratios, told
from benchmarks.measure import Sample


def sample(name: str, cpu_us: float, turn: int) -> Sample:
    raw = {"cpu_ns": cpu_us * 1e3 * 1000, "requests": 1000, "seconds": 1.0}
    return Sample(name, "keepalive", 64, turn, raw)


class AgainstTests(SynchronousTestCase):
    def test_pairs(self) -> None:
        """Each ratio is of one pair; the median tells, whatever a slow phase does to both."""
        pairs = [
            (sample("this", ours, turn), sample("other", other, turn))
            for turn, (ours, other) in enumerate([(10.0, 10.0), (33.0, 30.0), (9.0, 10.0)])
        ]
        for found, wanted in zip(ratios(pairs), [1.0, 1.1, 0.9], strict=True):
            self.assertAlmostEqual(found, wanted)
        line = told("subproxy", 64, pairs)
        self.assertIn("median of 3 pairs 1.000 (0.900 to 1.100)", line)
        self.assertIn("10.00 and 10.00 us a request", line)
