"""Which worker has which slot, and when one that died is replaced."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.workers.slots import LONGEST_DELAY, Replace, Slots
from subproxy.workers.states import WorkerState


class SlotsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.slots = Slots(2)

    def test_one_that_has_served(self) -> None:
        """Is replaced at once, and counted."""
        worker = self.slots.begin(0, 0.0)
        self.slots.ready(worker, 1.0)
        self.assertEqual(self.slots.ended(worker, 5.0), Replace(0, 0.0))
        self.assertEqual(self.slots.deaths, 1)
        self.assertTrue(self.slots.wanted(0))

    def test_early_deaths(self) -> None:
        """The first is replaced at once, further ones wait longer each time; serving helps."""
        delays = []
        for _ in range(9):
            found = self.slots.ended(self.slots.begin(1, 0.0), 0.2)
            assert found is not None
            delays.append(found.delay)
        self.assertEqual(delays[:4], [0.0, 0.1, 0.2, 0.4])
        self.assertEqual(delays[-1], LONGEST_DELAY)
        worker = self.slots.begin(1, 0.0)
        self.slots.ready(worker, 0.0)
        self.assertEqual(self.slots.ended(worker, 60.0), Replace(1, 0.0))
        self.assertEqual(self.slots.ended(self.slots.begin(1, 60.0), 60.1), Replace(1, 0.0))

    def test_a_newer_one(self) -> None:
        """Has the older one retire, whose end is no death."""
        older = self.slots.begin(0, 0.0)
        self.slots.ready(older, 0.0)
        newer = self.slots.begin(0, 1.0)
        self.assertIs(self.slots.serving(0), older)
        self.assertIs(self.slots.starting(0), newer)
        self.assertIs(self.slots.ready(newer, 2.0), older)
        self.assertEqual(older.state, WorkerState.RETIRING)
        self.assertIsNone(self.slots.ended(older, 3.0))
        self.assertEqual((self.slots.deaths, len(self.slots)), (0, 1))

    def test_a_newer_one_that_fails(self) -> None:
        """The slot is served meanwhile, so that nobody else is wanted."""
        older = self.slots.begin(0, 0.0)
        self.slots.ready(older, 0.0)
        self.slots.ended(self.slots.begin(0, 1.0), 1.1)
        self.assertFalse(self.slots.wanted(0))
        self.assertIs(self.slots.serving(0), older)

    def test_stopping(self) -> None:
        """Nobody is replaced, however it ends; nor in a slot that there is no more."""
        worker = self.slots.begin(0, 0.0)
        self.slots.ready(worker, 0.0)
        surplus = self.slots.adopt(7, 99, WorkerState.SERVING, 0.0)
        self.assertIsNone(self.slots.ended(surplus, 9.0))
        self.slots.stopping = True
        self.assertIsNone(self.slots.ended(worker, 9.0))
        self.assertFalse(self.slots.wanted(0))

    @given(st.integers(0, 70_000))
    def test_serials(self, before: int) -> None:
        """Fit into two bytes, are never 0, and never those of one that is there."""
        slots = Slots(1, before % 65_536)
        there = slots.begin(0, 0.0)
        for _ in range(3):
            found = slots.begin(0, 0.0)
            self.assertTrue(0 < found.serial < 65_536)
            self.assertNotEqual(found.serial, there.serial)
            slots.ended(found, 0.0)
