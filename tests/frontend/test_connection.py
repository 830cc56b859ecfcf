"""A client's connection, whatever is asked over it: whose it is, and how it closes."""

from __future__ import annotations

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import ISSLTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from subproxy.errors import GuestGone
from subproxy.frontend import connection
from subproxy.frontend.client_socket import ClientSocket
from subproxy.frontend.connection_state import TRANSITIONS, ConnectionState
from subproxy.frontend.half_close import HalfClose
from subproxy.frontend.http1.protocol import Http1Protocol
from subproxy.frontend.limits import HttpLimits
from subproxy.telemetry.close_reason import CloseReason
from tests.rigs.fake_dispatcher import Client, FakeGuest, Transport
from tests.rigs.http_oracle import Recorder

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def ok(guest: FakeGuest) -> None:
    guest.respond(200, [], b"hello")


class StateTests(SynchronousTestCase):
    def test_every_state_has_its_transitions(self) -> None:
        self.assertEqual(set(TRANSITIONS), set(ConnectionState))


class PeerTests(SynchronousTestCase):
    def test_tls(self) -> None:
        client = Client(ok)
        directlyProvides(client.transport, ISSLTransport)
        client.send(GET)
        self.assertEqual(client.guest.exchange.request.scheme, b"https")
        self.assertIn((b"X-Forwarded-Proto", b"https"), client.guest.exchange.request.headers)
        # It cannot be half-closed.
        client.send(b"nonsense\r\n\r\n")
        self.assertFalse(client.transport.halfClosed)
        self.assertTrue(client.transport.disconnecting)

    def test_a_peer_without_an_address(self) -> None:
        client = Client(ok)
        client.transport.peerAddr = UNIXAddress(None)
        client.send(GET)
        self.assertEqual(client.guest.exchange.request.client, b"unix")


class CloseReasonTests(SynchronousTestCase):
    """Why a connection closed can be told afterwards; what came first is why."""

    def reason(self, client: Client) -> CloseReason | None:
        reason: CloseReason | None = client.protocol.close_reason
        return reason

    def expect(self, client: Client, reason: CloseReason, aborted: bool) -> None:
        self.assertIs(self.reason(client), reason)
        self.assertTrue(client.closed)
        self.assertEqual(client.transport.aborted, aborted)

    def test_an_open_one_has_none(self) -> None:
        client = Client(ok)
        client.send(GET)
        self.assertIsNone(self.reason(client))

    def test_the_client_closed(self) -> None:
        client = Client(ok)
        client.lose()
        self.assertIs(self.reason(client), CloseReason.CLIENT_CLOSED)

    def test_the_client_is_done(self) -> None:
        client = Client(ok)
        client.send(GET)
        client.halfClose()
        self.expect(client, CloseReason.CLIENT_DONE, False)
        client.lose()
        self.expect(client, CloseReason.CLIENT_DONE, False)

    def test_the_client_left_an_answer(self) -> None:
        for half_close, reason in (
            (HalfClose.DENY, CloseReason.CLIENT_LEFT),
            (HalfClose.ALLOW, None),
        ):
            client = Client(half_close=half_close)
            client.send(GET)
            client.halfClose()
            self.assertIs(self.reason(client), reason)

    def test_the_client_reset_it_unread(self) -> None:
        client = Client()
        client.send(GET, GET)
        client.leave()
        client.wait(0.5)
        self.expect(client, CloseReason.CLIENT_RESET, True)

    def test_a_lent_socket_broke(self) -> None:
        client = Client()
        client.send(GET)
        ClientSocket(client.protocol, client.protocol.client_stream).broke()
        self.expect(client, CloseReason.SOCKET_BROKE, True)

    def test_a_slow_reader(self) -> None:
        client = Client(None, HttpLimits(body_grace=5, body_rate=100))
        client.send(GET)
        client.guest.respond(200, [], None)
        client.transport.stalled = True
        client.guest.data(b"x" * 90_000)
        client.wait(5.5)
        self.expect(client, CloseReason.SLOW_READER, True)

    def test_an_answer_that_nobody_took(self) -> None:
        client = Client(ok, HttpLimits(keepalive_timeout=20, body_grace=5))
        client.send(GET)
        self.patch(connection, "waits_for_peer", lambda transport: True)
        client.wait(9)
        self.assertFalse(client.closed)
        client.wait(3)
        self.expect(client, CloseReason.ANSWER_UNTAKEN, True)

    def test_an_answer_that_is_taken_slowly(self) -> None:
        """What the kernel holds of it may take a while, at the least rate, and then is as usual."""
        client = Client(ok, HttpLimits(keepalive_timeout=40, body_grace=5, body_rate=100))
        now = client.clock.seconds
        self.patch(connection, "bytes_taken", lambda transport: int(200 * now()))
        self.patch(connection, "waits_for_peer", lambda transport: True)
        client.send(GET)
        client.wait(20)
        client.send(GET)
        client.wait(30)
        self.assertEqual(client.received().count(b"200 OK"), 2)
        self.assertFalse(client.closed)
        self.patch(connection, "waits_for_peer", lambda transport: False)
        client.wait(1)
        self.assertIsNone(client.protocol.takes)
        client.wait(10)
        self.expect(client, CloseReason.KEEPALIVE_TIMEOUT, False)

    def test_a_truncated_answer(self) -> None:
        client = Client()
        client.send(GET)
        client.guest.respond(200, [], None)
        client.guest.exchange.fail(GuestGone())
        self.expect(client, CloseReason.TRUNCATED, True)

    def test_a_last_answer_that_is_taken_slowly(self) -> None:
        """It is not cut off, as long as it is taken fast enough: then the lingering begins."""
        for takes, seconds in ((200, 30), (50, 14)):
            with self.subTest(takes=takes):
                client = Client(ok, HttpLimits(linger=2, body_grace=5, body_rate=100))
                now = client.clock.seconds
                self.patch(connection, "bytes_taken", lambda _, n=takes, at=now: int(n * at()))
                self.patch(connection, "waits_for_peer", lambda transport: True)
                client.send(b"nonsense\r\n\r\n", b"more")
                client.wait(seconds)
                self.assertEqual(client.transport.aborted, takes < 100)
                self.patch(connection, "waits_for_peer", lambda transport: False)
                client.wait(3)
                self.expect(client, CloseReason.LAST_ANSWER, True)

    def test_the_last_answer(self) -> None:
        """And if the client goes on sending, that is still why."""
        client = Client(ok)
        client.send(b"nonsense\r\n\r\n")
        self.expect(client, CloseReason.LAST_ANSWER, False)
        client.wait(3)
        self.expect(client, CloseReason.LAST_ANSWER, True)

    def test_nobody_asked(self) -> None:
        client = Client(ok, HttpLimits(keepalive_timeout=5))
        client.wait(6)
        self.expect(client, CloseReason.KEEPALIVE_TIMEOUT, False)

    def test_too_many(self) -> None:
        client = Client(ok, HttpLimits(connections=1))
        protocol = client.factory.buildProtocol(None)
        assert isinstance(protocol, Http1Protocol)
        transport = Transport("192.0.2.8")
        protocol.makeConnection(transport)
        self.assertIs(protocol.close_reason, CloseReason.TOO_MANY)
        self.assertTrue(transport.aborted)

    def test_the_proxy_stops(self) -> None:
        client = Client(ok)
        client.factory.drain()
        self.expect(client, CloseReason.DRAINING, False)
        client = Client()
        client.send(GET)
        client.factory.drain()
        self.assertIsNone(self.reason(client))
        client.factory.close()
        self.expect(client, CloseReason.SHUTDOWN, True)

    def test_the_log_is_told(self) -> None:
        """Where the connection closed before its exchange had ended."""
        for aborted, reason in (
            (False, CloseReason.CLIENT_CLOSED),
            (True, CloseReason.TRUNCATED),
        ):
            recorder = Recorder()
            client = Client(log=recorder)
            client.send(GET)
            client.guest.respond(200, [], None)
            if aborted:
                client.guest.exchange.fail(GuestGone())
            client.lose(aborted)
            [record] = recorder.records
            self.assertIs(record.close_reason, reason)


class ClosingTests(SynchronousTestCase):
    def test_a_half_closed_idle_connection_is_closed(self) -> None:
        client = Client(ok)
        client.send(GET)
        client.halfClose()
        self.assertTrue(client.transport.disconnecting)

    def test_a_head_that_is_cut_off_is_answered(self) -> None:
        client = Client(ok)
        client.send(b"GET / HTTP/1.1\r\nHo")
        client.halfClose()
        self.assertTrue(client.received().startswith(b"HTTP/1.1 400 "))
        self.assertTrue(client.transport.disconnecting)

    def test_lingering_ends_with_the_client(self) -> None:
        client = Client(ok)
        client.send(b"nonsense\r\n\r\n")
        self.assertTrue(client.transport.halfClosed)
        client.send(b"more")
        client.halfClose()
        self.assertTrue(client.transport.disconnecting)

    def test_empty_lines_alone_are_no_head(self) -> None:
        """Nor do they keep an idle connection for longer."""
        client = Client(ok, HttpLimits(header_timeout=2, keepalive_timeout=5))
        for _ in range(9):
            client.send(b"\r\n")
            client.wait(0.5)
        self.assertFalse(client.closed)
        client.send(b"\r\n")
        client.wait(1.5)
        self.assertTrue(client.closed)
        self.assertEqual(b"", client.received())
