"""When a snapshot is made, and what becomes of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.snapshot_plan import (
    RETRY,
    ROOM_BESIDE,
    SnapshotPlan,
    SnapshotState,
    room_fault,
)


class SnapshotPlanTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.plan = SnapshotPlan()

    def test_one_is_made(self) -> None:
        """Once; another one when what it was made of has changed."""
        self.assertTrue(self.plan.due(0.0))
        self.plan.take()
        self.assertFalse(self.plan.due(0.0))
        self.plan.taken()
        self.assertEqual(self.plan.state, SnapshotState.READY)
        self.assertFalse(self.plan.due(9999.0))
        self.plan.missing()
        self.assertTrue(self.plan.due(0.0))

    def test_one_of_an_earlier_proxy(self) -> None:
        """Is found by the first start."""
        self.plan.found()
        self.plan.found()
        self.assertFalse(self.plan.due(0.0))
        self.plan.restored()
        self.assertEqual(self.plan.counts["restored"], 1)

    def test_it_can_not_be_made(self) -> None:
        """It is tried again after a while, or as soon as it is declared anew."""
        self.plan.take()
        self.plan.not_taken("disk full", 10.0)
        self.assertEqual((self.plan.reason, self.plan.counts["failed"]), ("disk full", 1))
        self.assertFalse(self.plan.due(9.0 + RETRY))
        self.assertTrue(self.plan.due(10.0 + RETRY))
        self.plan.declared_anew()
        self.assertTrue(self.plan.due(10.0))

    def test_an_operator_drops_it(self) -> None:
        """What failed before is forgotten, too; what is being made is not dropped."""
        self.assertTrue(self.plan.dropped())
        self.plan.wanted = True
        self.plan.take()
        self.assertFalse(self.plan.dropped())
        self.plan.taken()
        self.assertTrue(self.plan.dropped())
        self.assertEqual(self.plan.state, SnapshotState.NONE)
        self.plan.take()
        self.plan.not_taken("disk full", 10.0)
        self.plan.wanted = True
        self.assertTrue(self.plan.dropped())
        self.assertEqual((self.plan.reason, self.plan.wanted), ("", False))
        self.assertTrue(self.plan.due(10.0))

    def test_an_operator(self) -> None:
        """Whose word comes before all that, but not while one is made."""
        self.plan.found()
        self.plan.wanted = True
        self.assertTrue(self.plan.due(0.0))
        self.plan.take()
        self.assertFalse(self.plan.wanted)
        self.plan.wanted = True
        self.assertFalse(self.plan.due(0.0))

    def test_it_is_broken(self) -> None:
        """It is removed, unless another one is on its way."""
        self.plan.found()
        self.assertTrue(self.plan.broken("did not come up", 0.0))
        self.assertFalse(self.plan.broken("nor did this", 0.0))
        self.assertFalse(self.plan.due(1.0))
        self.assertEqual(self.plan.counts["broken"], 2)

    @given(st.lists(st.sampled_from(["take", "taken", "not", "found", "missing", "broken", "new"])))
    def test_any_order(self, steps: list[str]) -> None:
        """That events of several instances come in."""
        plan = SnapshotPlan()
        for step in steps:
            taking = plan.state is SnapshotState.TAKING
            if step == "take" and plan.due(0.0):
                plan.take()
            elif step == "taken" and taking:
                plan.taken()
            elif step == "not" and taking:
                plan.not_taken("", 0.0)
            elif step == "found":
                plan.found()
            elif step == "missing":
                plan.missing()
            elif step == "broken":
                plan.broken("", 0.0)
            elif step == "new":
                plan.declared_anew()

    def test_room(self) -> None:
        self.assertEqual(room_fault((256 << 20) + ROOM_BESIDE, 256 << 20), "")
        self.assertEqual(
            room_fault(100 << 20, 256 << 20),
            "no room for a snapshot: 100 MiB are free, of 320 that it may need",
        )
