"""When a certificate is ordered."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.acme.schedule import (
    FIRST_PAUSE,
    LIMITED_PAUSE,
    LONGEST_PAUSE,
    SETTLE,
    NameSchedule,
    usual_renewal,
)

DAY = 86400.0


class ScheduleTests(SynchronousTestCase):
    def test_usual_renewal(self) -> None:
        for days, left in ((90, 30), (6, 3), (9, 4.5), (12, 4)):
            self.assertEqual(usual_renewal(0, days * DAY), (days - left) * DAY)

    def test_due(self) -> None:
        schedule = NameSchedule()
        self.assertTrue(schedule.is_due(1000.0))
        schedule.issued(1000.0)
        self.assertEqual(schedule.settled_at, 1000.0 + SETTLE)
        schedule.renew_at = 2000.0
        self.assertFalse(schedule.is_due(1999.0))
        self.assertTrue(schedule.is_due(2000.0))

    def test_failures(self) -> None:
        """Each pause is twice the one before, up to a day, and none is the same for all names."""
        schedule = NameSchedule()
        pauses = [schedule.failed(0.0, False, lambda: 0.0) for _ in range(14)]
        self.assertEqual(pauses[:3], [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE])
        self.assertEqual(pauses[-1], LONGEST_PAUSE)
        self.assertFalse(schedule.is_due(LONGEST_PAUSE - 1))
        self.assertTrue(schedule.is_due(LONGEST_PAUSE))
        self.assertEqual(NameSchedule().failed(0.0, False, lambda: 1.0), FIRST_PAUSE * 1.25)
        self.assertEqual(NameSchedule().failed(0.0, True, lambda: 0.0), LIMITED_PAUSE)
        schedule.issued(5.0)
        self.assertEqual(schedule.failed(0.0, False, lambda: 0.0), FIRST_PAUSE)
