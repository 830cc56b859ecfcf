"""Signals as calls in the reactor."""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.process.signals import (
    SignalService,
    hold_signals,
    let_signals_come,
    stop_on_signals,
)


class FakeReactor(Clock):
    """A clock that takes calls from signal handlers."""

    def __init__(self) -> None:
        super().__init__()
        self.triggers: list[tuple[str, str, Any]] = []

    def callFromThread(self, function, *arguments) -> None:
        self.callLater(0, function, *arguments)

    def addSystemEventTrigger(self, phase: str, event: str, function: Any) -> None:
        self.triggers.append((phase, event, function))


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

    def test_first(self) -> None:
        """A signal that comes as soon as another child has said something is handled."""
        self.addCleanup(signal.signal, signal.SIGUSR2, signal.getsignal(signal.SIGUSR2))
        called: list[str] = []
        reactor = FakeReactor()
        parent = MultiService()  # type: ignore[no-untyped-call]
        listener = Service()
        listener.privilegedStartService = lambda: os.kill(  # type: ignore[method-assign]
            os.getpid(), signal.SIGUSR2
        )
        listener.setServiceParent(parent)  # type: ignore[no-untyped-call]
        service = SignalService(reactor, {signal.SIGUSR2: lambda: called.append("ours")})
        service.be_first(parent)
        parent.privilegedStartService()  # type: ignore[no-untyped-call]
        parent.startService()  # type: ignore[no-untyped-call]
        reactor.advance(0)
        self.assertEqual(called, ["ours"])
        parent.stopService()  # type: ignore[no-untyped-call]


class StopOnSignalsTests(SynchronousTestCase):
    def test_stops_then_hurries(self) -> None:
        """The first stops the reactor, in a turn of its own, and whoever comes next hurries it."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        called: list[str] = []
        reactor = StoppingReactor(called)
        stop_on_signals(reactor, lambda: called.append("hurry"))
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(called, [])
        reactor.advance(0)
        self.assertEqual(called, ["stop"])
        os.kill(os.getpid(), signal.SIGINT)
        reactor.advance(0)
        self.assertEqual(called, ["stop", "hurry"])

    def test_one_that_twisted_has_caught(self) -> None:
        """Between its handlers and ours: the process does not end by that signal either."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        reactor = StoppingReactor([])
        stop_on_signals(reactor, lambda: None)
        reactor._exitSignal = signal.SIGTERM
        ((_, _, put_back),) = reactor.triggers
        put_back()
        self.assertIsNone(reactor._exitSignal)

    def test_put_back(self) -> None:
        """What the reactor has put in their place when it starts to run is not in force."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        called: list[str] = []
        reactor = StoppingReactor(called)
        stop_on_signals(reactor, lambda: None)
        signal.signal(signal.SIGTERM, lambda number, frame: called.append("Twisted's"))
        ((phase, event, put_back),) = reactor.triggers
        self.assertEqual((phase, event), ("during", "startup"))
        put_back()
        os.kill(os.getpid(), signal.SIGTERM)
        reactor.advance(0)
        self.assertEqual(called, ["stop"])


class StoppingReactor(FakeReactor):
    """It can be stopped once."""

    _exitSignal: signal.Signals | None = None

    def __init__(self, called: list[str]) -> None:
        super().__init__()
        self.called = called

    def stop(self) -> None:
        if self.called:
            raise ReactorNotRunning
        self.called.append("stop")


class HeldTests(SynchronousTestCase):
    """Signals that wait."""

    def setUp(self) -> None:
        self.called: list[str] = []
        before = signal.signal(signal.SIGUSR2, lambda number, frame: self.called.append("ours"))
        self.addCleanup(signal.signal, signal.SIGUSR2, before)
        self.addCleanup(let_signals_come)

    def until(self, true: Callable[[], bool]) -> None:
        limit = time.monotonic() + 60.0
        while not true():
            self.assertLess(time.monotonic(), limit, "it does not come")
            os.sched_yield()

    def test_beside_another_thread(self) -> None:
        """One that blocks none of them is given them, and nobody is told before they may come."""
        over = threading.Event()
        thread = threading.Thread(target=over.wait)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(over.set)
        hold_signals()
        signal.pthread_kill(thread.ident or 0, signal.SIGUSR2)
        self.until(lambda: signal.SIGUSR2 in signal.sigpending() or bool(self.called))
        self.assertEqual(self.called, [])
        let_signals_come()
        self.until(lambda: bool(self.called))
        self.assertEqual(self.called, ["ours"])
        os.kill(os.getpid(), signal.SIGUSR2)
        self.until(lambda: len(self.called) == 2)

    def test_handlers_of_others(self) -> None:
        """What was put in place meanwhile stays there."""
        hold_signals()
        signal.signal(signal.SIGUSR2, lambda number, frame: self.called.append("another"))
        let_signals_come()
        os.kill(os.getpid(), signal.SIGUSR2)
        self.until(lambda: bool(self.called))
        self.assertEqual(self.called, ["another"])
