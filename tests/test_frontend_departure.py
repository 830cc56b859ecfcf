"""Has a client that closed its half left? In memory; over sockets in integration/."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.departure import PATIENCE
from tests.fake_dispatcher import Client

GET = b"GET / HTTP/1.%d\r\nHost: a\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class DepartureTests(SynchronousTestCase):
    def test_who_waits_long_is_asked_once(self) -> None:
        client = Client()
        client.send(GET % 1)
        client.halfClose()
        self.assertEqual(client.received(), b"")
        client.clock.advance(PATIENCE)
        self.assertEqual(client.received(), CONTINUE)
        client.clock.pump([0.02] * 50)
        self.assertEqual(client.received(), b"")
        client.guest.respond()
        self.assertIn(b"200 OK", client.received())
        client.clock.advance(10)

    def test_a_quick_answer_comes_alone(self) -> None:
        client = Client()
        client.send(GET % 1)
        client.halfClose()
        client.guest.respond()
        client.clock.advance(PATIENCE)
        self.assertNotIn(CONTINUE, client.received())

    def test_http_1_0_is_not_asked(self) -> None:
        client = Client()
        client.send(GET % 0)
        client.halfClose()
        client.clock.advance(1)
        self.assertEqual(client.received(), b"")

    def test_who_reset_the_connection_is_gone(self) -> None:
        client = Client()
        client.send(GET % 1)
        client.halfClose()
        client.clock.advance(PATIENCE)
        self.patch(
            __import__("subproxy.frontend.departure", fromlist=["is_reset"]),
            "is_reset",
            lambda transport: True,
        )
        client.clock.advance(0.02)
        self.assertTrue(client.transport.aborted)
