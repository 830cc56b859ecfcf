"""The limit on log lines that strangers cause."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.endpoints.loggate import LogGate


class LogGateTests(SynchronousTestCase):
    def test_limitASecond(self) -> None:
        """So many lines pass in a second, no more."""
        gate = LogGate(Clock(), perSecond=3)
        self.assertEqual([gate.admit() for _ in range(5)], [0, 0, 0, None, None])

    def test_tellsWhatWasHeldBack(self) -> None:
        """The first line that passes again says how many did not, once."""
        clock = Clock()
        gate = LogGate(clock, perSecond=1)
        for _ in range(8):
            gate.admit()
        clock.advance(1)
        self.assertEqual(gate.admit(), 7)
        clock.advance(1)
        self.assertEqual(gate.admit(), 0)
