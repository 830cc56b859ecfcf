"""Tests of subproxy.core.access.penalties."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.penalties import (
    AGAIN,
    BURST,
    DIALS,
    FIRST,
    FORGIVEN,
    FREE,
    MOST,
    RATE,
    RESUME,
    WORST,
    PenaltyBox,
)
from tests.rigs.core_strategies import relaxed


class UselessTests(SynchronousTestCase):
    """Messages that nobody needed."""

    def setUp(self) -> None:
        self.penalties = PenaltyBox()

    def test_some_are_no_harm(self) -> None:
        """As many as the burst, and then as many as the rate."""
        told = [self.penalties.count_useless("a", 0.0) for _ in range(int(BURST))]
        self.assertEqual(told, [0.0] * 3999 + [RESUME / RATE])
        self.assertEqual(self.penalties.count_useless("a", RESUME / RATE), 0.0)

    def test_by_weight(self) -> None:
        """What costs more counts more: it is read, and then paid."""
        self.penalties.count_useless("a", 0.0, BURST - 1.0)
        self.assertEqual(self.penalties.count_useless("a", 0.0, 201.0), (200.0 + RESUME) / RATE)
        self.assertEqual(
            self.penalties.count_useless("a", (200.0 + RESUME) / RATE, RESUME), RESUME / RATE
        )

    def test_each_by_itself(self) -> None:
        """One that has used up its own takes nothing from another."""
        self.penalties.count_useless("a", 0.0, BURST)
        self.assertGreater(self.penalties.count_useless("a", 0.0), 0.0)
        self.assertEqual(self.penalties.count_useless("b", 0.0), 0.0)

    def test_no_more_is_read_than_the_rate(self) -> None:
        """Whoever reads on as soon as it may reads the burst, and then the rate."""
        now, read = 0.0, 0
        while now < 10.0:
            read += 1
            now += self.penalties.count_useless("a", now)
        most = BURST + 10 * RATE
        self.assertTrue(most - RESUME <= read <= most + RESUME, str(read))


class DialTests(SynchronousTestCase):
    """Connections that are opened."""

    def setUp(self) -> None:
        self.penalties = PenaltyBox()

    def dials(self, count: int, connections: float, now: float, identity: str = "a") -> int:
        return sum(self.penalties.admit_dial(identity, connections, now) for _ in range(count))

    def test_as_many_as_may_be_open(self) -> None:
        """At once; and the same again in so many seconds, spread over them."""
        self.assertEqual(self.dials(1000, 256, 5.0), 256)
        self.assertEqual(self.dials(1000, 256, 5.0 + AGAIN / 4), 64)
        self.assertEqual(self.dials(1000, 256, 5.0 + 2 * AGAIN), 256)
        self.assertEqual(self.dials(1, 256, 5.0, "b"), 1)

    def test_few_may_be_open(self) -> None:
        """Who may have one connection may still come back a number of times."""
        self.assertEqual(self.dials(1000, 1, 0.0), DIALS)

    def test_another_quota(self) -> None:
        """A policy that is changed counts at once."""
        self.assertEqual(self.dials(1000, 100, 0.0), 100)
        self.assertEqual(self.dials(1000, 300, 0.0), 300)

    def test_served(self) -> None:
        """What we asked for does not count."""
        self.assertEqual(self.dials(1000, 100, 0.0), 100)
        self.penalties.refund_dial("a")
        self.penalties.refund_dial("nobody")
        self.assertEqual(self.dials(1000, 100, 0.0), 1)

    def test_expire(self) -> None:
        """Nobody is remembered for longer than it counts."""
        self.dials(10, 100, 0.0)
        self.penalties.expire(AGAIN / 20)
        self.assertEqual(len(self.penalties), 1)
        self.penalties.expire(AGAIN / 5)
        self.assertEqual(len(self.penalties), 0)


class OffenceTests(SynchronousTestCase):
    """What ends a connection."""

    def setUp(self) -> None:
        self.penalties = PenaltyBox()

    def test_the_first_are_free(self) -> None:
        """Then each one doubles the time, up to a bound."""
        self.assertEqual(
            [self.penalties.record_offence("a", 0.0) for _ in range(11)],
            [0.0, 0.0, 0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, MOST, MOST],
        )
        self.assertEqual(self.penalties.penalty("b", 0.0), 0.0)

    def test_penalty(self) -> None:
        """It is counted from the last offence."""
        for _ in range(4):
            self.penalties.record_offence("a", 7.0)
        self.assertAlmostEqual(self.penalties.penalty("a", 7.0), FIRST)
        self.assertAlmostEqual(self.penalties.penalty("a", 7.0625), FIRST - 0.0625)
        self.assertEqual(self.penalties.penalty("a", 8.0), 0.0)

    def test_time_makes_up(self) -> None:
        """One offence in each so many seconds is never punished; the worst is forgiven, too."""
        now = 0.0
        for _ in range(100):
            self.assertEqual(self.penalties.record_offence("a", now), 0.0)
            now += FORGIVEN
        for _ in range(100):
            self.penalties.record_offence("b", now)
        now += FORGIVEN * (WORST - FREE + 1.0)
        self.assertEqual(self.penalties.record_offence("b", now), 0.0)

    def test_expire(self) -> None:
        """Nobody is remembered for longer than it takes to make up."""
        self.penalties.count_useless("a", 0.0)
        self.penalties.record_offence("b", 0.0)
        self.penalties.expire(0.0)
        self.assertEqual(len(self.penalties), 2)
        self.penalties.expire(1.0)
        self.assertEqual(len(self.penalties), 1)
        self.penalties.expire(FORGIVEN)
        self.assertEqual(len(self.penalties), 0)

    @relaxed
    @given(st.lists(st.floats(0.0, 100.0), max_size=50))
    def test_the_bounds(self, pauses: list[float]) -> None:
        """Never more than the most; and who waits as told is heard."""
        conduct, now = PenaltyBox(), 0.0
        for pause in pauses:
            now += pause
            told = conduct.record_offence("a", now)
            self.assertLessEqual(told, MOST)
            self.assertAlmostEqual(conduct.penalty("a", now), told)
            self.assertEqual(conduct.penalty("a", now + MOST), 0.0)
