"""A call again and again while the service runs."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app.periodic import PeriodicService


class PeriodicServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.calls = 0
        self.service = PeriodicService(5.0, self.call, self.clock)

    def call(self) -> None:
        self.calls += 1
        if self.calls == 4:
            raise ZeroDivisionError

    def test_while_it_runs(self) -> None:
        """From the start on, until it is stopped; and again."""
        self.service.startService()
        self.assertEqual(self.calls, 1)
        self.clock.advance(5)
        self.assertEqual(self.calls, 2)
        self.service.stopService()
        self.service.stopService()
        self.clock.advance(50)
        self.assertEqual(self.calls, 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.service.startService()
        self.assertEqual(self.calls, 3)
        self.service.stopService()

    def test_a_failure(self) -> None:
        """It is logged, and is the last call."""
        self.service.startService()
        self.clock.pump([5.0] * 5)
        self.assertEqual(self.calls, 4)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.service.stopService()
