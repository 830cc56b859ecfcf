"""Tests of benchmarks.against: its arithmetic; the processes are those of the benchmark."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.against import bodies, cells, parser, requests
from benchmarks.measure import Sample
from benchmarks.scenarios import Runner


def sample(name: str, cpu_us: float, turn: int) -> Sample:
    raw = {"cpu_ns": cpu_us * 1e3 * 1000, "requests": 1000, "bytes": 10**9, "seconds": 1.0}
    return Sample(name, "keepalive", 64, turn, raw)


class AgainstTests(SynchronousTestCase):
    def test_pairs(self) -> None:
        """Each ratio is of one pair; the median tells, whatever a slow phase does to both."""
        pairs = [
            (sample("this", ours, turn), sample("other", other, turn))
            for turn, (ours, other) in enumerate([(10.0, 10.0), (33.0, 30.0), (9.0, 10.0)])
        ]
        cell = requests(Runner(1, 1.0), 64)
        for found, wanted in zip(cell.ratios(pairs), [1.0, 1.1, 0.9], strict=True):
            self.assertAlmostEqual(found, wanted)
        self.assertEqual(
            cell.told(pairs),
            "64 connections: 10.000 and 10.000 us of CPU a request; "
            "median of 3 pairs 1.000 (0.900 to 1.100)",
        )

    def test_bodies(self) -> None:
        """Their figure is CPU time by bytes."""
        cell = bodies("upload", "1M", 16, 1, 1)
        pairs = [(sample("this", 250.0, 0), sample("other", 200.0, 0))]
        self.assertEqual(
            cell.told(pairs),
            "upload of 1M, 16 clients: 0.250 and 0.200 CPU s/GB; "
            "median of 1 pairs 1.250 (1.250 to 1.250)",
        )

    def test_cells(self) -> None:
        """Requests, or bodies both ways."""
        asked = parser().parse_args(["x", "--connections=1,2"])
        self.assertEqual([cell.title for cell in cells(asked)], ["1 connections", "2 connections"])
        asked = parser().parse_args(["x", "--bodies", "--sizes=64K", "--clients=2"])
        self.assertEqual(
            [cell.title for cell in cells(asked)],
            ["download of 64K, 2 clients", "upload of 64K, 2 clients"],
        )
