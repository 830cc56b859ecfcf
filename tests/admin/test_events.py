"""Pages that are open: who watches, who reads slowly, and what that costs."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.admin.events import INTERVAL, LIFETIME, MOST_WATCHERS, REST, STALLED
from subproxy.admin.guard import Guard
from subproxy.admin.pages import Reply
from subproxy.admin.site import operations_site


class Looked:
    """Operations of which one is asked for; C{later} makes it wait for the test."""

    def __init__(self) -> None:
        self.looks = 0
        self.later: Deferred[Reply] | None = None
        self.status = 200

    def ready(self) -> bool:
        return True

    def metrics(self) -> bytes:
        return b""

    def reply(self, what: str, about: str = "") -> Reply | Deferred[Reply]:
        self.looks += 1
        if self.later is not None:
            return self.later
        return {"look": self.looks}, self.status


class EventTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.looked = Looked()
        self.site = operations_site(self.looked, Guard(), self.clock)
        self.site.doStart()
        self.addCleanup(self.site.doStop)

    def watch(self, method: str = "GET") -> tuple[Any, StringTransport]:
        protocol = self.site.buildProtocol(None)
        transport = StringTransport(hostAddress=UNIXAddress("/run/admin.sock"))
        protocol.makeConnection(transport)
        protocol.dataReceived(f"{method} /api/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return protocol, transport

    @staticmethod
    def events(transport: StringTransport) -> list[int]:
        lines = transport.value().decode().splitlines()
        return [json.loads(line[6:])["look"] for line in lines if line.startswith("data: ")]

    def test_an_open_page(self) -> None:
        """It is told at once, and again each second, until it is closed; then nobody looks."""
        self.clock.pump([INTERVAL] * 5)
        self.assertEqual(self.looked.looks, 0)
        protocol, transport = self.watch()
        self.assertIn(b"text/event-stream", transport.value())
        for _ in range(3):
            self.clock.advance(INTERVAL)
        self.assertEqual(self.events(transport), [1, 2, 3, 4])
        protocol.connectionLost(Failure(ConnectionDone()))
        self.clock.pump([INTERVAL] * 5)
        self.assertEqual(self.looked.looks, 4)

    def test_one_look_for_all(self) -> None:
        watching = [self.watch()[1] for _ in range(3)]
        before = self.looked.looks
        self.clock.advance(INTERVAL)
        self.assertEqual(self.looked.looks, before + 1)
        self.assertEqual({self.events(each)[-1] for each in watching}, {before + 1})

    def test_too_many(self) -> None:
        """The next is told so, and may come when one has left."""
        protocols = [self.watch()[0] for _ in range(MOST_WATCHERS)]
        self.assertIn(b" 503 ", self.watch()[1].value())
        protocols[0].connectionLost(Failure(ConnectionDone()))
        self.assertIn(b" 200 ", self.watch()[1].value())

    def test_a_slow_reader(self) -> None:
        """It gets nothing new until it has read; others do; at last it is cut off."""
        (_, slow), (_, quick) = self.watch(), self.watch()
        producer: Any = slow.producer
        producer.pauseProducing()
        size = len(slow.value())
        for _ in range(5):
            self.clock.advance(INTERVAL)
        self.assertEqual(len(slow.value()), size)
        self.assertEqual(len(self.events(quick)), 6)
        producer.resumeProducing()
        self.clock.advance(INTERVAL)
        self.assertEqual(self.events(slow)[-1], self.looked.looks)
        producer.pauseProducing()
        self.clock.pump([INTERVAL] * (int(STALLED / INTERVAL) + 2))
        self.assertTrue(slow.disconnected or slow.aborting)

    def test_a_long_stream(self) -> None:
        """It ends, and the browser asks for another, if it still may."""
        _, transport = self.watch()
        self.clock.advance(LIFETIME)
        self.clock.advance(INTERVAL)
        self.assertTrue(transport.value().endswith(b"0\r\n\r\n"))
        looks = self.looked.looks
        self.clock.pump([INTERVAL] * 3)
        self.assertEqual(self.looked.looks, looks)

    def test_a_look_that_takes_long(self) -> None:
        """Nobody looks again for a multiple of that, nor while it lasts."""
        self.looked.later = Deferred()
        first = self.watch()[1]
        self.watch()
        self.clock.advance(2.0)
        self.assertEqual(self.looked.looks, 1)
        later, self.looked.later = self.looked.later, None
        later.callback(({"look": 7}, 200))
        self.assertEqual(self.events(first), [7])
        self.clock.advance(2.0 * REST - 0.1)
        self.assertEqual(self.looked.looks, 1)
        self.clock.advance(0.2)
        self.assertEqual(self.looked.looks, 2)

    def test_a_look_that_fails(self) -> None:
        """The log says so; the next may succeed. What is no overview is not sent."""
        self.looked.later = Deferred()
        _, transport = self.watch()
        self.looked.later.errback(ValueError("no"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.looked.later, self.looked.status = None, 503
        self.clock.advance(INTERVAL)
        self.assertEqual(self.events(transport), [])
        self.looked.status = 200
        self.clock.advance(INTERVAL)
        self.assertEqual(self.events(transport), [3])

    def test_head(self) -> None:
        """It ends, unlike the stream."""
        _, transport = self.watch("HEAD")
        self.assertIn(b" 200 ", transport.value())
        self.assertEqual(self.looked.looks, 0)
