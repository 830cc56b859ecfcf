"""Has a client that closed its half left? In memory; over sockets in integration/."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from subproxy.errors import ClientGone
from subproxy.frontend.half_close import HalfClose
from subproxy.frontend.http1.disconnect_probe import PATIENCE, SOON
from tests.rigs.fake_dispatcher import Client

GET = b"GET / HTTP/1.%d\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
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
        client.leave()
        client.clock.advance(0.02)
        self.assertTrue(client.transport.aborted)

    def test_an_answer_that_comes_late_is_whole(self) -> None:
        """A FIN before the head does not count later either."""
        for length in ([], [(b"Content-Length", b"6")]):
            client = Client()
            client.send(GET % 1)
            client.halfClose()
            client.clock.advance(5)
            client.guest.respond(200, length, None)
            client.clock.pump([1.0] * 100)
            client.guest.data(b"events")
            client.clock.advance(30)
            client.guest.end()
            self.assertFalse(client.transport.aborted)
            self.assertIn(b"events", client.received())

    def test_all_that_was_asked_before_it_is_answered(self) -> None:
        client = Client()
        client.send(GET % 1 * 3)
        client.halfClose()
        for _ in range(3):
            self.assertFalse(client.closed)
            client.guest.respond(200, [], b"hello")
        self.assertEqual(client.received().count(b"200 OK"), 3)
        self.assertTrue(client.closed)
        self.assertEqual(len(client.dispatcher.guests), 3)

    def test_what_is_incomplete_behind_it_is_told(self) -> None:
        client = Client()
        client.send(GET % 1 + b"GET /")
        client.halfClose()
        client.guest.respond(200, [], b"hello")
        received = client.received()
        self.assertEqual((received.count(b"200 OK"), received.count(b" 400 ")), (1, 1))
        self.assertTrue(client.closed)

    def test_who_leaves_at_a_later_answer_is_noticed(self) -> None:
        client = Client()
        client.send(GET % 1 * 2)
        client.halfClose()
        client.guest.respond(200, [], b"hello")
        client.received()
        client.clock.advance(PATIENCE)
        self.assertEqual(client.received(), CONTINUE)
        client.leave()
        client.clock.advance(0.02)
        self.assertTrue(client.transport.aborted)

    def test_a_reset_behind_what_was_written_is_seen_soon(self) -> None:
        """Also of one that had half-closed, and was taken to be there."""
        client = Client()
        client.send(GET % 1)
        client.halfClose()
        client.guest.respond(200, [], None)
        client.clock.pump([1.0] * 20)
        self.assertFalse(client.closed)
        client.guest.data(b"event")
        client.leave()
        client.clock.advance(SOON)
        self.assertTrue(client.transport.aborted)


class BehindTheHeadTests(SynchronousTestCase):
    """The client sends its FIN when it has seen the head of the answer."""

    def streaming(self, length: int | None = None, **options: object) -> Client:
        client = Client(**options)
        client.send(GET % 1)
        fields = [] if length is None else [(b"Content-Length", b"%d" % length)]
        client.guest.respond(200, fields, None)
        client.guest.data(b"event")
        self.assertIn(b"event", client.received())
        return client

    def gone(self, client: Client) -> bool:
        if client.transport.aborted:
            client.lose(aborted=True)
            self.assertIsInstance(client.guest.cancelled, ClientGone)
            return True
        self.assertIsNone(client.guest.cancelled)
        return False

    def test_without_a_length_it_is_gone_at_once(self) -> None:
        client = self.streaming()
        client.halfClose()
        self.assertTrue(self.gone(client))

    def test_a_fin_that_acknowledges_nothing_of_the_answer(self) -> None:
        """It crossed with the head on the line: the client had not seen that."""
        for acknowledged in (False, True):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                end = socket.create_connection(listener.getsockname())
                server, _ = listener.accept()
            self.addCleanup(end.close)
            self.addCleanup(server.close)
            client = Client()
            client.transport.getHandle = lambda server=server: server  # type: ignore[attr-defined]
            client.send(GET % 1)
            client.guest.respond(200, [], None)
            if acknowledged:
                server.sendall(b"x")
                end.recv(1)
                end.sendall(b"x")  # with the acknowledgement
                server.recv(1)
            client.halfClose()
            self.assertIs(self.gone(client), acknowledged)

    def test_http_1_0_without_a_length(self) -> None:
        client = Client()
        client.send(GET % 0)
        client.guest.respond(200, [], None)
        client.halfClose()
        self.assertTrue(self.gone(client))

    def test_with_a_length_when_the_guest_is_quiet_for_a_second(self) -> None:
        client = self.streaming(1000)
        client.halfClose()
        for _ in range(8):
            client.clock.pump([0.1] * 9)
            client.guest.data(b"x")
            self.assertFalse(self.gone(client))
        client.clock.pump([0.1] * 9)
        self.assertFalse(self.gone(client))
        client.clock.pump([0.1] * 4)
        self.assertTrue(self.gone(client))

    def test_one_that_does_not_take_what_came_is_waited_for(self) -> None:
        """The pace at which it takes is limited elsewhere."""
        client = self.streaming(10_000_000)
        client.transport.stalled = True
        client.guest.data(bytes(1_000_000))
        self.assertFalse(client.protocol.writable)
        client.halfClose()
        client.clock.pump([0.1] * 50)
        self.assertFalse(self.gone(client))
        client.transport.drain()
        client.clock.pump([0.1] * 13)
        self.assertTrue(self.gone(client))

    def test_the_option_allows_it(self) -> None:
        client = self.streaming(half_close=HalfClose.ALLOW)
        client.halfClose()
        client.clock.pump([1.0] * 20)
        self.assertFalse(self.gone(client))
        client.guest.data(b"event")
        client.leave()
        client.clock.advance(SOON)
        self.assertTrue(self.gone(client))

    def test_the_option_denies_it(self) -> None:
        client = Client(half_close=HalfClose.DENY)
        client.send(GET % 1)
        client.halfClose()
        self.assertTrue(self.gone(client))

    def test_bytes_of_another_request_before_the_fin(self) -> None:
        """Reading is paused then, and the FIN is found by the sweeper."""
        client = self.streaming()
        client.send(GET % 1)
        self.assertFalse(client.reading)
        client.wait(1)
        self.assertFalse(self.gone(client))
        client.leave(half=True)
        client.wait(0.5)
        self.assertTrue(self.gone(client))

    def test_a_fin_that_nobody_has_read_when_the_head_comes(self) -> None:
        """It came before the head, though it is found later; and so of the next request."""
        client = Client()
        client.send(GET % 1, GET % 1)
        client.leave(half=True)
        for _ in range(2):
            client.guest.respond(200, [], None)
            client.wait(5)
            client.guest.data(b"event")
            client.guest.end()
            client.clock.advance(1)
            self.assertIn(b"event", client.received())
        self.assertEqual(len(client.dispatcher.guests), 2)
        self.assertFalse(client.transport.aborted)

    def test_while_the_request_is_still_coming(self) -> None:
        """The guest answers, and takes no more of the body for now."""
        for leave_half in (True, False):
            client = Client()
            client.send(POST + b"x")
            client.guest.respond(200, [], None)
            client.wait(1)
            self.assertFalse(client.reading)
            self.assertFalse(self.gone(client))
            client.leave(half=leave_half)
            client.wait(0.5)
            self.assertTrue(self.gone(client))

    def test_while_the_request_is_still_coming_before_the_head(self) -> None:
        """Asked, it does not answer: it may have sent all, and wait."""
        client = Client()
        client.send(POST + b"x")
        client.leave(half=True)
        client.wait(1)
        self.assertEqual(client.received(), CONTINUE)
        client.wait(10)
        self.assertFalse(client.closed)
        client.leave()
        client.wait(0.5)
        self.assertTrue(self.gone(client))

    def test_one_that_waits_while_it_is_held_back(self) -> None:
        """Before the head: asked, and gone when it resets."""
        client = Client()
        client.send(GET % 1, GET % 1)
        self.assertFalse(client.reading)
        client.wait(1)
        client.leave(half=True)
        client.wait(1)
        self.assertEqual(client.received(), CONTINUE)
        client.leave()
        client.wait(0.5)
        self.assertTrue(self.gone(client))


class AfterTheAnswerTests(SynchronousTestCase):
    """A client that half-closed is told by the end of the connection that there is no more."""

    def answered(self, *more: bytes) -> tuple[Client, bytes]:
        client = Client()
        client.send(GET % 1, *more)
        client.guest.respond(200, [(b"Content-Length", b"5")], None)
        client.halfClose()
        client.guest.data(b"event")
        client.guest.end()
        got = client.received()
        self.assertIn(b"event", got)
        return client, got.partition(b"event")[2]

    def test_the_connection_that_was_to_stay_is_closed(self) -> None:
        client, _ = self.answered()
        self.assertTrue(client.transport.disconnecting)
        self.assertFalse(client.transport.aborted)

    def test_requests_that_came_before_the_fin_are_served(self) -> None:
        client, _ = self.answered(GET % 1)
        self.assertFalse(client.closed)
        client.guest.respond(200, [], b"another")
        self.assertIn(b"another", client.received())
        self.assertTrue(client.transport.disconnecting)

    def test_a_head_that_is_cut_off(self) -> None:
        client, more = self.answered((GET % 1)[:-1])
        self.assertTrue(more.startswith(b"HTTP/1.1 400 "))
        self.assertTrue(client.transport.disconnecting)
