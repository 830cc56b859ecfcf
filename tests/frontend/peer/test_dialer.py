"""When a host is dialled, and when again."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.retry_delay import LONGEST_DELAY
from subproxy.frontend.peer.dialer import DialState, HostDialer


class DialerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.dials: list[Deferred[Any]] = []
        self.dialer = HostDialer(self.clock, "kvm-2", "192.0.2.2:7443", self.dial, lambda: 1.0)
        self.dialer.begin()

    def dial(self, dialer: HostDialer) -> Deferred[Any]:
        self.assertIs(dialer, self.dialer)
        self.dials.append(Deferred())
        return self.dials[-1]

    def said(self) -> list[str]:
        return [formatEvent(event) or "" for event in self.events]

    def connect(self) -> None:
        self.dials[-1].callback(None)
        self.assertTrue(self.dialer.reached())
        self.dialer.begun()
        self.assertIs(self.dialer.state, DialState.CONNECTED)

    def test_connected(self) -> None:
        """It is dialled once, and again when it has left."""
        self.connect()
        self.clock.advance(1000)
        self.assertEqual(len(self.dials), 1)
        self.dialer.left(self.dialer.attempt)
        self.assertIs(self.dialer.state, DialState.WAITING)
        self.clock.advance(0.1)
        self.assertEqual(len(self.dials), 2)
        self.assertEqual(
            self.said(),
            [
                "kvm-2 is served from here (192.0.2.2:7443)",
                "kvm-2 (192.0.2.2:7443) has gone",
            ],
        )

    def test_replaced(self) -> None:
        """Another process of it is dialled, once; that the one before it has left is no news."""
        self.connect()
        first = self.dialer.attempt
        for _ in range(2):
            self.dialer.replaced()
        self.assertIs(self.dialer.state, DialState.WAITING)
        self.clock.advance(0.1)
        self.dialer.replaced()
        self.assertEqual(len(self.dials), 2)
        self.connect()
        self.dialer.left(first)
        self.assertIs(self.dialer.state, DialState.CONNECTED)
        self.dialer.left(self.dialer.attempt)
        self.assertIs(self.dialer.state, DialState.WAITING)
        self.dialer.stop()
        self.dialer.replaced()
        self.assertIs(self.dialer.state, DialState.STOPPED)

    def test_not_reached(self) -> None:
        """It waits longer each time, and says so once."""
        for _ in range(20):
            self.dials[-1].errback(ConnectError(string="no"))
            self.clock.advance(LONGEST_DELAY)
        self.assertEqual(len(self.dials), 21)
        self.assertEqual(len(self.said()), 1)
        self.assertIn("kvm-2 (192.0.2.2:7443) is not reached: ", self.said()[0])
        self.connect()
        self.dialer.left(self.dialer.attempt)
        self.clock.advance(0.1)
        self.assertEqual(len(self.dials), 22)

    def test_refused(self) -> None:
        """Who is there is another one, or does not say welcome."""
        self.dials[-1].callback(None)
        self.dialer.refused("it is kvm-3")
        self.assertIs(self.dialer.state, DialState.WAITING)
        self.clock.advance(1)
        self.dials[-1].callback(None)
        self.dialer.reached()
        self.dialer.left(self.dialer.attempt)
        self.assertIs(self.dialer.state, DialState.WAITING)
        self.assertEqual(self.said(), ["kvm-2 (192.0.2.2:7443) is not reached: it is kvm-3"])

    def test_does_not_let_in(self) -> None:
        """It closes before it has said welcome."""
        self.dials[-1].callback(None)
        self.dialer.reached()
        self.dialer.left(self.dialer.attempt)
        self.assertIn("it does not let this host in", self.said()[0])

    def test_stopped(self) -> None:
        """In any state: it is dialled no more, and what comes late is not heard."""
        for prepare in ("dialling", "greeting", "connected", "waiting"):
            self.setUp()
            if prepare != "dialling":
                self.dials[-1].callback(None)
                self.dialer.reached()
            if prepare in ("connected", "waiting"):
                self.dialer.begun()
            if prepare == "waiting":
                self.dialer.left(self.dialer.attempt)
            self.dialer.stop()
            self.dialer.stop()
            self.assertFalse(self.dialer.reached())
            self.dialer.begun()
            self.dialer.left(self.dialer.attempt)
            self.dialer.refused("late")
            self.clock.advance(1000)
            self.assertIs(self.dialer.state, DialState.STOPPED)
            self.assertEqual(len(self.dials), 1)
            self.assertEqual(self.clock.getDelayedCalls(), [])
