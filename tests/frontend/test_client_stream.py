"""The answer to one request."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from subproxy.core.interfaces import IResponseSink
from subproxy.errors import GuestGone
from subproxy.frontend.client_stream import ResponseState
from tests.rigs.fake_dispatcher import Client

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class ResponderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = Client()
        self.client.send(GET)
        self.sink = self.client.guest.exchange.sink

    def test_interface(self) -> None:
        verifyObject(IResponseSink, self.sink)

    def test_it_counts_body_and_not_framing(self) -> None:
        guest = self.client.guest
        guest.respond(200, [], None)
        guest.data(b"hello")
        guest.data(b"world")
        guest.end()
        self.assertEqual((self.sink.sent, self.sink.status), (10, 200))

    def test_only_one_final_response_is_written(self) -> None:
        guest = self.client.guest
        guest.respond(200, [], None)
        before = self.client.received()
        self.sink.responseStarted(guest.exchange.response, b"again")
        self.sink.interimReceived(103, [])
        self.assertEqual(self.client.received(), b"")
        self.assertIn(b"200 OK", before)

    def test_nothing_is_written_behind_a_failure(self) -> None:
        guest = self.client.guest
        guest.respond(200, [], None)
        guest.exchange.fail(GuestGone())
        self.assertIs(self.sink.answer, ResponseState.DONE)
        self.client.received()
        self.sink.bodyReceived(b"x")
        self.sink.responseEnded([])
        self.assertEqual(self.client.received(), b"")

    def test_a_failure_before_the_head_is_a_page_and_the_connection_stays(self) -> None:
        self.client.guest.exchange.fail(GuestGone())
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 502 Bad Gateway\r\n"))
        self.assertFalse(self.client.closed)

    def test_what_a_client_does_not_take_becomes_one_piece(self) -> None:
        """A window full of pieces of a byte does not cost a hundred times what it holds."""
        guest = self.client.guest
        guest.respond(200, [], None)
        self.client.received()
        self.client.protocol.pauseProducing()
        for _ in range(5000):
            guest.data(b"x")
        self.assertEqual(self.client.received(), b"")
        self.assertEqual((self.sink.sent, guest.credit), (0, 0))
        self.client.protocol.resumeProducing()
        self.assertEqual(self.client.received(), b"1388\r\n" + b"x" * 5000 + b"\r\n")
        self.assertEqual((self.sink.sent, guest.credit), (5000, 5000))
        self.client.protocol.pauseProducing()
        guest.data(b"y")
        guest.data(b"z")
        guest.end()
        self.assertEqual(self.client.received(), b"2\r\nyz\r\n0\r\n\r\n")

    def test_interim_responses_that_wait_are_told(self) -> None:
        self.assertEqual(self.sink.interimReceived(103, []), 0)
        self.client.protocol.pauseProducing()
        head = b"HTTP/1.1 103 Early Hints\r\n\r\n"
        self.assertEqual(self.sink.interimReceived(103, []), len(head))

    def test_large_bodies_are_written_in_one_sequence(self) -> None:
        body = b"x" * 50_000
        self.client.guest.respond(200, [], body)
        self.assertTrue(self.client.received().endswith(b"\r\n\r\n" + body))
