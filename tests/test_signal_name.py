"""Signals by their names."""

import signal

from twisted.trial.unittest import SynchronousTestCase

from subproxy.signal_name import signal_name


class SignalNameTests(SynchronousTestCase):
    def test_all(self) -> None:
        """Most of real time have none."""
        self.assertEqual(signal_name(signal.SIGKILL), "SIGKILL")
        self.assertEqual(signal_name(signal.SIGRTMIN + 6), f"signal {signal.SIGRTMIN + 6}")
