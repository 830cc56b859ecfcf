"""What connections share."""

from __future__ import annotations

from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from subproxy.frontend.context import NoLog
from subproxy.frontend.factory import Http1Factory
from subproxy.telemetry.exchange_record import IExchangeLog
from tests.rigs.fake_dispatcher import Client, FakeDispatcher

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class FactoryTests(SynchronousTestCase):
    def test_no_log_is_a_log(self) -> None:
        verifyObject(IExchangeLog, NoLog())

    def test_it_has_defaults_for_all_but_the_dispatcher(self) -> None:
        factory = Http1Factory(FakeDispatcher())
        self.assertEqual(factory.active, 0)

    def test_it_can_be_negotiated(self) -> None:
        factory = Http1Factory(FakeDispatcher())
        verifyObject(IProtocolNegotiationFactory, factory)
        self.assertEqual(factory.acceptableProtocols(), [b"http/1.1"])

    def test_active_counts_requests_and_not_connections(self) -> None:
        client = Client()
        self.assertEqual(client.factory.active, 0)
        client.send(GET)
        self.assertEqual(client.factory.active, 1)
        client.guest.respond()
        self.assertEqual(client.factory.active, 0)
        self.assertEqual(len(client.factory.connections), 1)

    def test_the_date_goes_on(self) -> None:
        client = Client(lambda guest: guest.respond())
        client.send(GET)
        before = client.received()
        client.wait(10)
        client.send(GET)
        self.assertIn(b"00:16:40", before)
        self.assertIn(b"00:16:50", client.received())

    def test_drain_without_connections_is_done(self) -> None:
        client = Client()
        client.lose()
        self.successResultOf(client.factory.drain())

    def test_drain_closes_idle_connections_at_once(self) -> None:
        client = Client()
        done = client.factory.drain()
        self.assertTrue(client.transport.disconnecting)
        self.assertNoResult(done)
        client.lose()
        self.successResultOf(done)

    def test_drain_closes_busy_connections_behind_their_answer(self) -> None:
        client = Client()
        client.send(GET)
        done = client.factory.drain()
        self.assertFalse(client.closed)
        client.guest.respond(200, [], b"hello")
        self.assertIn(b"Connection: close", client.received())
        self.assertTrue(client.closed)
        client.lose()
        self.successResultOf(done)

    def test_close_aborts(self) -> None:
        client = Client()
        client.send(GET)
        client.factory.close()
        self.assertTrue(client.transport.aborted)

    def test_the_sweeper_stops_behind_the_last_connection(self) -> None:
        client = Client()
        client.factory.doStop()
        self.assertEqual(len(client.clock.getDelayedCalls()), 1)
        client.lose()
        self.assertEqual(client.clock.getDelayedCalls(), [])
