"""A client's connection, whatever is asked over it: whose it is, and how it closes."""

from __future__ import annotations

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import ISSLTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from subproxy.frontend.connection_state import TRANSITIONS, ConnectionState
from subproxy.frontend.limits import HttpLimits
from tests.rigs.fake_dispatcher import Client, FakeGuest

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

    def test_empty_lines_alone_are_a_slow_head(self) -> None:
        client = Client(ok, HttpLimits(header_timeout=5))
        for _ in range(11):
            client.send(b"\r\n")
            client.wait(0.5)
        self.assertTrue(client.received().startswith(b"HTTP/1.1 408 "))
