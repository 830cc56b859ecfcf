"""A connection: what the table of behaviours does not reach."""

from __future__ import annotations

import gc
import sys
import tracemalloc

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from subproxy.errors import ClientGone, GuestGone
from subproxy.frontend.limits import HttpLimits
from tests.rigs.fake_dispatcher import Client, FakeGuest, Transport
from tests.rigs.http_oracle import Recorder

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def ok(guest: FakeGuest) -> None:
    guest.respond(200, [], b"hello")


class ConnectionTests(SynchronousTestCase):
    def test_interfaces(self) -> None:
        client = Client()
        verifyObject(IHalfCloseableProtocol, client.protocol)
        verifyObject(IPushProducer, client.protocol)

    def test_keep_alive(self) -> None:
        client = Client(ok)
        for number in range(5):
            client.send(GET)
            self.assertIn(b"200 OK", client.received())
            self.assertEqual(client.dispatcher.finishedCount, number + 1)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertIn(b"Connection: close", client.received())
        self.assertTrue(client.transport.disconnecting)
        self.assertFalse(client.transport.halfClosed)

    def test_http_1_0(self) -> None:
        client = Client(ok)
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n")
        self.assertIn(b"Connection: keep-alive", client.received())
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        self.assertIn(b"Connection: close", client.received())
        self.assertTrue(client.closed)

    def test_a_head_byte_by_byte(self) -> None:
        client = Client(ok)
        client.send(*(bytes((byte,)) for byte in GET + GET))
        self.assertEqual(client.received().count(b"200 OK"), 2)

    def test_empty_lines_ask_for_nothing(self) -> None:
        """Some clients send one behind a body: the connection is as idle as without."""
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        for lines in ((b"\r\n",), (b"\r",), (b"\r", b"\n"), (b"\r\n" * 4, b"\r")):
            for leaves in ("by itself", "when idle for long", "when the proxy stops"):
                with self.subTest(lines=lines, leaves=leaves):
                    client = Client(ok, limits=HttpLimits(header_timeout=2, keepalive_timeout=60))
                    client.send(post, *lines)
                    self.assertIn(b"hello", client.received())
                    client.clock.pump([1] * 30)
                    self.assertFalse(client.closed)
                    if leaves == "by itself":
                        client.protocol.readConnectionLost()
                    elif leaves == "when idle for long":
                        client.clock.pump([1] * 31)
                    else:
                        client.protocol.close_if_idle()
                    self.assertTrue(client.closed)
                    self.assertEqual(b"", client.received())
        client = Client(ok)
        client.send(post, b"\r\n", GET)
        self.assertEqual(2, client.received().count(b"200 OK"))

    def test_many_pipelined_requests_answered_at_once_do_not_recurse(self) -> None:
        client = Client(ok)
        count = 2 * sys.getrecursionlimit()
        client.send(GET * count)
        self.assertEqual(client.received().count(b"200 OK"), count)

    def test_a_pipelined_client_that_does_not_read_is_not_read_from(self) -> None:
        client = Client(lambda guest: guest.respond(200, [], bytes(50_000)))
        client.transport.stalled = True
        client.send(GET * 100)
        self.assertLess(len(client.dispatcher.guests), 4)
        self.assertLess(len(client.received()), 200_000)
        client.send(GET)
        self.assertFalse(client.reading)
        client.transport.drain()
        self.assertEqual(len(client.dispatcher.guests), 101)
        self.assertTrue(client.reading)

    def test_a_pipelined_body_that_can_not_come(self) -> None:
        """The client has ended its half before the request is looked at: nothing is waited for."""
        put = b"PUT / HTTP/1.1\r\nHost: a\r\n"
        for rest in (
            b"Content-Length: 10\r\n\r\nhello",
            b"Content-Length: 700000\r\n\r\nhello",
            b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
            b"Transfer-Encoding: chunked\r\n\r\n",
            b"Transfer-Encoding: chunked\r\n\r\na\r\nhello",
        ):
            with self.subTest(rest=rest):
                client = Client()
                client.send(GET, put + rest)
                client.halfClose()
                ok(client.guest)
                client.clock.advance(0)
                received = client.received()
                self.assertIn(b"200 OK", received)
                self.assertIn(b"400 Bad Request", received)
                self.assertTrue(client.closed)
                self.assertEqual(1, len(client.dispatcher.guests))

    def test_a_pipelined_body_is_read_on(self) -> None:
        """Its beginning came behind a request under way, and nothing was read any more then."""
        client = Client()
        client.send(GET, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
        self.assertFalse(client.reading)
        ok(client.guest)
        self.assertTrue(client.reading)
        client.send(b"world")
        ok(client.guest)
        self.assertEqual(client.received().count(b"200 OK"), 2)

    def test_an_idle_connection_costs_little(self) -> None:
        client = Client(ok)
        client.send(GET)
        client.received()
        client.dispatcher.guests.clear()
        gc.collect()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        count = 200
        transports = [Transport("192.0.2.7") for _ in range(count)]
        before = tracemalloc.get_traced_memory()[0]
        connections = []
        for transport in transports:
            connection = client.factory.buildProtocol(None)
            connection.makeConnection(transport)
            connection.dataReceived(GET)
            transport.clear()
            client.dispatcher.guests.clear()
            connections.append(connection)
        gc.collect()
        self.assertLess((tracemalloc.get_traced_memory()[0] - before) / count, 2000)
        names = {type(each).__name__ for each in gc.get_referents(client.protocol.__dict__)}
        self.assertNotIn("Responder", names)
        self.assertNotIn("MessageParser", names)

    def test_too_many_connections(self) -> None:
        client = Client(ok, HttpLimits(connections=1))
        transport = Transport("192.0.2.9")
        extra = client.factory.buildProtocol(None)
        extra.makeConnection(transport)
        self.assertTrue(transport.aborted)
        client.send(GET)
        self.assertIn(b"200 OK", client.received())

    def test_nothing_raises_behind_the_end(self) -> None:
        client = Client()
        client.send(GET)
        guest = client.guest
        client.lose()
        client.send(GET)
        guest.exchange.sink.responseFailed(GuestGone())
        guest.exchange.sink.bodyReceived(b"x")
        guest.exchange.sink.requestResumed()
        client.protocol.pauseProducing()
        client.protocol.resumeProducing()
        client.protocol.stopProducing()
        client.protocol.writeConnectionLost()
        client.wait(100)


class DownloadTests(SynchronousTestCase):
    def test_credit_returns_when_bytes_have_left(self) -> None:
        client = Client()
        client.send(GET)
        guest = client.guest
        guest.respond(200, [], None)
        guest.data(b"x" * 1000)
        self.assertEqual(guest.credit, 1000)
        client.transport.stalled = True
        guest.data(b"x" * 90_000)
        guest.data(b"x" * 10_000)
        self.assertEqual(guest.credit, 1000)
        client.transport.drain()
        self.assertEqual(guest.credit, 101_000)

    def test_an_answer_ends_when_its_last_byte_has_left(self) -> None:
        recorder = Recorder()
        client = Client(log=recorder)
        client.send(GET)
        client.transport.stalled = True
        client.guest.respond(200, [], b"x" * 100_000)
        self.assertEqual(recorder.exchanges, [])
        client.send(GET)
        self.assertEqual(len(client.dispatcher.guests), 1)
        client.wait(1)
        client.transport.drain()
        self.assertEqual(len(recorder.exchanges), 1)
        [record] = recorder.records
        self.assertEqual((record.first_byte, record.ended), (1000, 1001))
        self.assertEqual(len(client.dispatcher.guests), 2)

    def test_a_client_that_leaves_with_bytes_unread(self) -> None:
        recorder = Recorder()
        client = Client(log=recorder)
        client.send(GET)
        client.transport.stalled = True
        client.guest.respond(200, [], b"x" * 100_000)
        client.lose()
        self.assertEqual([status for _, status, _ in recorder.exchanges], [200])

    def test_a_client_that_leaves_before_its_answer_is_logged_as_that(self) -> None:
        recorder = Recorder()
        client = Client(log=recorder)
        client.send(GET)
        client.lose()
        self.assertEqual([status for _, status, _ in recorder.exchanges], [499])
        self.assertIsInstance(client.guest.cancelled, ClientGone)

    def test_an_empty_piece_does_not_end_a_chunked_body(self) -> None:
        client = Client()
        client.send(GET)
        client.guest.respond(200, [], None)
        client.guest.data(b"")
        client.guest.data(b"x")
        client.guest.end()
        self.assertTrue(client.received().endswith(b"\r\n\r\n1\r\nx\r\n0\r\n\r\n"))

    def test_a_closing_connection_that_nobody_reads_is_cut(self) -> None:
        client = Client(ok, HttpLimits(body_grace=5, body_rate=100))
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertTrue(client.transport.disconnecting)
        client.wait(4.5)
        self.assertFalse(client.transport.aborted)
        client.wait(1)
        self.assertTrue(client.transport.aborted)
