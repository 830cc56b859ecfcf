"""Signals as calls in the reactor."""

import os
import signal

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.signals import SignalService


class FakeReactor(Clock):
    """A clock that takes calls from signal handlers."""

    def callFromThread(self, function, *arguments) -> None:
        self.callLater(0, function, *arguments)


class SignalServiceTests(SynchronousTestCase):
    def test_calls_in_the_reactor_and_restores(self) -> None:
        """A signal calls its function later, the former handler too, which comes back at a stop."""
        called: list[str] = []
        before = signal.signal(signal.SIGUSR1, lambda number, frame: called.append("former"))
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        former = signal.getsignal(signal.SIGUSR1)
        reactor = FakeReactor()
        service = SignalService(reactor, {signal.SIGUSR1: lambda: called.append("ours")})
        service.startService()
        os.kill(os.getpid(), signal.SIGUSR1)
        self.assertEqual(called, ["former"])
        reactor.advance(0)
        self.assertEqual(called, ["former", "ours"])
        service.stopService()
        self.assertIs(signal.getsignal(signal.SIGUSR1), former)
