"""The arithmetic of the benchmarks: medians, ratios pair by pair, what a sample says."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.bodies import transfers_for
from benchmarks.figures import idle_bytes, middle, paired_ratio, rotated, select, spread
from benchmarks.measure import InvalidRun, Sample, check


def sample(name: str, turn: int, cpu_us: float, **more: Any) -> Sample:
    raw = {
        "requests": 1000,
        "seconds": 0.5,
        "cpu_ns": cpu_us * 1e6,
        "user_ticks": 1,
        "system_ticks": 3,
        **more,
    }
    return Sample(name, "keepalive", 64, turn, raw)


def cpu(it: Sample) -> float:
    return it.cpu_us


class SampleTests(SynchronousTestCase):
    def test_timePerRequest(self) -> None:
        """CPU time is told a request, user and system by the share of the ticks."""
        it = sample("a", 0, 20.0)
        self.assertAlmostEqual(it.cpu_us, 20.0)
        self.assertAlmostEqual(it.user_us, 5.0)
        self.assertAlmostEqual(it.system_us, 15.0)

    def test_withoutTicks(self) -> None:
        """A run too short for a tick is all system time, not an error."""
        it = sample("a", 0, 20.0, user_ticks=0, system_ticks=0)
        self.assertEqual(it.user_us, 0.0)

    def test_rateAndBusy(self) -> None:
        """Requests a second, and the share of the time that the server's core ran."""
        it = sample("a", 0, 250.0)
        self.assertAlmostEqual(it.rate, 2000.0)
        self.assertAlmostEqual(it.busy, 0.5)

    def test_bodies(self) -> None:
        """CPU seconds for 10^9 bytes and 10^9 bytes a second."""
        it = sample("a", 0, 1.0, cpu_ns=3e9, bytes=2e9, seconds=4.0)
        self.assertAlmostEqual(it.cpu_seconds_per_gb, 1.5)
        self.assertAlmostEqual(it.gb_per_second, 0.5)

    def test_jsonRoundTrip(self) -> None:
        """A sample read back from the raw figures is the same."""
        it = sample("a", 2, 7.0)
        self.assertEqual(Sample(**it.to_json()), it)


class CheckTests(SynchronousTestCase):
    def test_refusesOtherThan2xx(self) -> None:
        """One answer that is not 2xx makes a run invalid."""
        with self.assertRaises(InvalidRun):
            check({"bad_status": 1, "broken": 0, "requests": 10**6}, "x")

    def test_refusesBroken(self) -> None:
        """One broken answer makes a run invalid."""
        with self.assertRaises(InvalidRun):
            check({"bad_status": 0, "broken": 1, "requests": 10**6}, "x")

    def test_refusesNothing(self) -> None:
        """No answer is no measurement."""
        with self.assertRaises(InvalidRun):
            check({"bad_status": 0, "broken": 0, "requests": 0}, "x")
        with self.assertRaises(InvalidRun):
            check({"bad_status": 0, "broken": 0, "transfers": 0}, "x")

    def test_takesTheRest(self) -> None:
        """A valid run comes back as it is."""
        raw = {"bad_status": 0, "broken": 0, "transfers": 3}
        self.assertIs(check(raw, "x"), raw)


class MedianTests(SynchronousTestCase):
    def test_select(self) -> None:
        """The samples of one cell come by round, and none of another cell."""
        samples = [sample("a", 1, 3.0), sample("b", 0, 9.0), sample("a", 0, 1.0)]
        chosen = select(samples, "a", "keepalive", 64)
        self.assertEqual([it.round for it in chosen], [0, 1])
        self.assertEqual(select(samples, "a", "keepalive", 8), [])
        self.assertEqual(select(samples, "a", "connect"), [])

    def test_middle(self) -> None:
        """The median is robust against one bad round; without samples there is none."""
        self.assertEqual(middle([sample("a", i, v) for i, v in enumerate((2, 900, 3))], cpu), 3)
        self.assertIsNone(middle([], cpu))

    def test_spread(self) -> None:
        """The least and the greatest."""
        self.assertEqual(spread([sample("a", 0, 2.0), sample("a", 1, 1.0)], cpu), (1.0, 2.0))
        self.assertIsNone(spread([], cpu))


class PairedRatioTests(SynchronousTestCase):
    def test_pairs(self) -> None:
        """The ratio is the median of the ratios, not the ratio of the medians."""
        mine = [sample("a", i, v) for i, v in enumerate((10, 40, 30))]
        theirs = [sample("b", i, v) for i, v in enumerate((20, 50, 100))]
        ratio = paired_ratio(mine, theirs, cpu)
        assert ratio is not None
        self.assertAlmostEqual(ratio, 0.5)

    def test_missingRounds(self) -> None:
        """A round that one of them lacks does not count."""
        mine = [sample("a", 0, 10.0), sample("a", 2, 30.0)]
        ratio = paired_ratio(mine, [sample("b", 2, 60.0), sample("b", 1, 1.0)], cpu)
        assert ratio is not None
        self.assertAlmostEqual(ratio, 0.5)
        self.assertIsNone(paired_ratio(mine, [], cpu))

    @given(
        st.lists(st.floats(1, 1000), min_size=1, max_size=9),
        st.lists(st.floats(0.01, 100), min_size=9, max_size=9),
    )
    def test_disturbanceOfBothCancels(self, costs: list[float], noise: list[float]) -> None:
        """What slows both of each pair by the same factor leaves the ratio alone."""
        pairs = list(enumerate(zip(costs, noise, strict=False)))
        mine = [sample("a", turn, cost * factor / 2) for turn, (cost, factor) in pairs]
        theirs = [sample("b", turn, cost * factor) for turn, (cost, factor) in pairs]
        ratio = paired_ratio(mine, theirs, cpu)
        assert ratio is not None
        self.assertAlmostEqual(ratio, 0.5)


class PlanTests(SynchronousTestCase):
    def test_rotated(self) -> None:
        """Each round starts with another contender, and everybody has a turn."""
        self.assertEqual(rotated(["a", "b", "c"], 0), ["a", "b", "c"])
        self.assertEqual(rotated(["a", "b", "c"], 4), ["b", "c", "a"])
        self.assertEqual(rotated([], 3), [])

    def test_idleBytes(self) -> None:
        """What a connection added, of the whole."""
        self.assertEqual(idle_bytes(1_000_000, 11_000_000, 10_000), 1000.0)

    @given(st.integers(1, 1 << 31), st.integers(1, 64))
    def test_transfersFor(self, size: int, clients: int) -> None:
        """Every client has the same number of transfers, one at least."""
        transfers = transfers_for(size, clients)
        self.assertGreaterEqual(transfers, clients)
        self.assertEqual(transfers % clients, 0)
