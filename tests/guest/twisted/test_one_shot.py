"""Tests for L{guest.twisted.one_shot}."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from guest.twisted.one_shot import OneShotObserver


class MomentTests(SynchronousTestCase):
    """It happens once, for all."""

    def test_all_who_wait_hear_of_it(self) -> None:
        moment: OneShotObserver[int] = OneShotObserver()
        early = [moment.wait(), moment.wait()]
        moment.fire(7)
        moment.fire(8)
        late = moment.wait()
        self.assertEqual([self.successResultOf(each) for each in [*early, late]], [7, 7, 7])

    def test_a_value_of_none(self) -> None:
        moment: OneShotObserver[None] = OneShotObserver()
        waiting = moment.wait()
        self.assertNoResult(waiting)
        moment.fire(None)
        self.assertIsNone(self.successResultOf(waiting))
        self.assertIsNone(self.successResultOf(moment.wait()))

    def test_one_who_waits_no_more(self) -> None:
        moment: OneShotObserver[int] = OneShotObserver()
        gone, other = moment.wait(), moment.wait()
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        moment.fire(1)
        self.assertEqual(self.successResultOf(other), 1)
