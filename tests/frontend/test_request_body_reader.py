"""The body of a request, on a connection: who is read from, and when."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.exchange import ExchangeState
from subproxy.errors import RequestTimeout
from subproxy.frontend.limits import HttpLimits
from tests.rigs.fake_dispatcher import Client, FakeGuest

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def post(length: int | None) -> bytes:
    framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
    return b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n"


def ok(guest: FakeGuest) -> None:
    guest.respond(200, [], b"hello")


class UploaderTests(SynchronousTestCase):
    def test_a_small_body_is_collected(self) -> None:
        client = Client(ok)
        client.send(post(10), b"hello", b"wor")
        self.assertEqual(client.dispatcher.guests, [])
        client.send(b"ld" + GET)
        self.assertEqual(client.dispatcher.guests[0].exchange.body, b"helloworld")
        self.assertEqual(client.received().count(b"200 OK"), 2)

    def test_a_small_chunked_body_in_one_read_is_whole(self) -> None:
        client = Client(ok)
        client.send(post(None) + b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n")
        exchange = client.guest.exchange
        self.assertEqual((exchange.body, exchange.request.length), (b"helloworld", 10))

    def test_a_large_body_is_streamed_and_starts_paused(self) -> None:
        client = Client()
        client.send(post(100_000) + b"x" * 100)
        guest = client.guest
        self.assertIsNone(guest.exchange.body)
        self.assertFalse(client.reading)
        guest.exchange.resume_request()
        self.assertTrue(client.reading)
        self.assertEqual(guest.body, b"x" * 100)
        client.send(b"y" * 50_000)
        guest.exchange.pause_request()
        self.assertFalse(client.reading)
        # What was under way already is held.
        client.send(b"z" * 40_000)
        self.assertEqual(len(guest.body), 50_100)
        guest.exchange.resume_request()
        self.assertEqual(len(guest.body), 90_100)
        self.assertIsNone(guest.ended)
        client.send(b"w" * 9_900 + GET)
        self.assertEqual(guest.ended, [])
        guest.respond(200, [], b"done")
        self.assertEqual(len(client.dispatcher.guests), 2)

    def test_a_guest_that_pauses_at_every_piece(self) -> None:
        client = Client()
        client.send(post(None))
        guest = client.guest
        guest.on_body = guest.exchange.pause_request
        guest.exchange.resume_request()
        for _ in range(10):
            client.send(b"5\r\nhello\r\n")
            self.assertFalse(client.reading)
            guest.exchange.resume_request()
        client.send(b"5\r\nhello\r\n0\r\n\r\n")
        self.assertIsNone(guest.ended)
        guest.exchange.resume_request()
        self.assertEqual((guest.body, guest.ended), (b"hello" * 11, []))

    def test_an_early_answer_closes_the_connection_and_drops_the_rest(self) -> None:
        client = Client()
        client.send(post(100_000))
        guest = client.guest
        guest.exchange.resume_request()
        client.send(b"x" * 1000)
        guest.respond(413, [], b"no")
        received = client.received()
        self.assertTrue(received.startswith(b"HTTP/1.1 413 "))
        self.assertIn(b"\r\nConnection: close\r\n", received)
        self.assertTrue(client.transport.halfClosed)
        self.assertTrue(client.reading)
        client.send(b"x" * 1000)
        self.assertEqual(len(guest.body), 1000)
        client.wait(2.5)
        self.assertTrue(client.transport.aborted)

    def test_an_answer_may_begin_before_the_body_ends(self) -> None:
        client = Client()
        client.send(post(None))
        guest = client.guest
        guest.exchange.resume_request()
        guest.respond(200, [], None)
        for _ in range(3):
            client.send(b"5\r\nhello\r\n")
            guest.data(guest.body)
            guest.body = b""
        client.send(b"0\r\n\r\n")
        self.assertEqual(guest.ended, [])
        guest.end()
        self.assertEqual(client.received().count(b"hello"), 3)
        # The head was written when the rest of the body might still have gone missing.
        self.assertTrue(client.closed)

    def test_a_body_that_turns_out_bad_costs_its_exchange(self) -> None:
        client = Client()
        client.send(post(None))
        guest = client.guest
        guest.exchange.resume_request()
        client.send(b"5\r\nhello\r\nx")
        self.assertTrue(client.received().startswith(b"HTTP/1.1 400 "))
        self.assertTrue(client.closed)
        self.assertIs(guest.exchange.state, ExchangeState.DONE)
        assert guest.cancelled is not None

    def test_a_body_that_is_cut_off(self) -> None:
        for length in (10, 100_000, None):
            client = Client()
            client.send(post(length), b"5\r\nhe")
            client.halfClose()
            self.assertTrue(client.received().startswith(b"HTTP/1.1 400 "))
            self.assertTrue(client.closed)
            for guest in client.dispatcher.guests:
                self.assertIsNone(guest.ended)
                assert guest.cancelled is not None

    def test_a_slow_body_that_is_streamed(self) -> None:
        client = Client(None, HttpLimits(body_grace=5, body_rate=100))
        client.send(post(100_000))
        guest = client.guest
        guest.exchange.resume_request()
        client.wait(3)
        guest.exchange.pause_request()
        client.wait(20)
        self.assertFalse(client.closed)
        guest.exchange.resume_request()
        client.wait(3)
        self.assertTrue(client.received().startswith(b"HTTP/1.1 408 "))
        assert guest.cancelled is not None

    def test_a_conversation(self) -> None:
        """Behind the head of its answer a client may be silent, until nothing passes either way."""
        limits = HttpLimits(body_grace=5, body_rate=100, tunnel_idle=100)
        for who in ("client", "guest"):
            client = Client(None, limits)
            client.send(post(None))
            guest = client.guest
            guest.exchange.resume_request()
            guest.respond(200, [], None)
            for _ in range(4):
                client.wait(80)
                if who == "client":
                    client.send(b"5\r\nhello\r\n")
                else:
                    guest.data(b"hello")
            self.assertFalse(client.closed)
            client.wait(99)
            self.assertFalse(client.closed)
            client.wait(2)
            self.assertTrue(client.transport.aborted)
            assert guest.cancelled is not None
            self.assertIsInstance(guest.cancelled, RequestTimeout)

    def test_a_client_that_resets_while_it_is_not_read_from(self) -> None:
        client = Client()
        client.send(post(100_000) + b"x")
        self.assertFalse(client.reading)
        client.wait(1)
        self.assertFalse(client.closed)
        client.leave()
        client.wait(0.5)
        self.assertTrue(client.transport.aborted)

    def test_a_guest_that_never_takes_a_body_is_slow(self) -> None:
        client = Client(None, HttpLimits(response_timeout=5))
        client.send(post(100_000))
        client.wait(5.5)
        self.assertTrue(client.received().startswith(b"HTTP/1.1 504 "))


class ManyChunksTests(SynchronousTestCase):
    """A read of very many chunks is read a share of a turn at a time."""

    BODY = b"1;a\r\nx\r\n" * 5000 + b"0\r\n\r\n"

    def finish(self, client: Client) -> None:
        """Turn after turn, as many as it takes."""
        for _ in range(5):
            client.clock.advance(0)

    def test_behind_the_head_and_with_a_request_behind_it(self) -> None:
        client = Client()
        client.send(post(None) + self.BODY + GET)
        guest = client.guest
        self.assertFalse(client.reading)
        guest.exchange.resume_request()
        self.assertFalse(client.reading)
        self.assertLess(len(guest.body), 5000)
        self.assertIsNone(guest.ended)
        self.finish(client)
        self.assertEqual((guest.body, guest.ended), (b"x" * 5000, []))
        guest.respond(200, [], b"done")
        self.assertEqual(len(client.dispatcher.guests), 2)
        self.assertTrue(client.reading)

    def test_what_comes_meanwhile_is_behind_it(self) -> None:
        client = Client()
        client.send(post(None))
        guest = client.guest
        guest.exchange.resume_request()
        client.send(self.BODY[:20000])
        self.assertFalse(client.reading)
        client.send(self.BODY[20000:])
        self.finish(client)
        self.assertEqual((guest.body, guest.ended), (b"x" * 5000, []))
        self.assertTrue(client.reading)

    def test_it_reads_on_only_for_a_guest_that_takes_it(self) -> None:
        client = Client()
        client.send(post(None) + self.BODY[:-5])
        self.finish(client)
        self.assertFalse(client.reading)
        guest = client.guest
        self.assertEqual(guest.body, b"")
        guest.exchange.resume_request()
        self.assertTrue(client.reading)
        self.assertEqual(guest.body, b"x" * 5000)

    def test_an_end_of_the_client_counts_behind_it(self) -> None:
        client = Client()
        client.send(post(None))
        guest = client.guest
        guest.exchange.resume_request()
        client.send(self.BODY)
        client.halfClose()
        self.assertEqual(client.received(), b"")
        self.finish(client)
        self.assertEqual(guest.ended, [])
        guest.respond(200, [], b"done")
        self.assertTrue(client.received().startswith(b"HTTP/1.1 200 "))

    def test_an_end_of_the_client_within_it(self) -> None:
        client = Client()
        client.send(post(None))
        client.guest.exchange.resume_request()
        client.send(self.BODY[:-5])
        client.halfClose()
        self.finish(client)
        self.assertTrue(client.received().startswith(b"HTTP/1.1 400 "))

    def test_what_is_bad_in_it_is_found(self) -> None:
        client = Client()
        client.send(post(None) + self.BODY[:-5] + b"z")
        self.finish(client)
        self.assertTrue(client.received().startswith(b"HTTP/1.1 400 "))
        self.assertIsNotNone(client.guest.cancelled)

    def test_who_has_left_or_was_answered_is_not_read_on(self) -> None:
        for answered in (False, True):
            client = Client()
            client.send(post(None) + self.BODY)
            guest = client.guest
            guest.exchange.resume_request()
            before = len(guest.body)
            if answered:
                guest.respond(200, [], b"no, thanks")
                self.assertTrue(client.closed)
            else:
                client.lose()
            self.finish(client)
            self.assertEqual(len(guest.body), before)
