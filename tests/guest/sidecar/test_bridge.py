"""Requests that go to a program, and what comes of them."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import ClassVar, cast

from guest.core.errors import RequestFailed, RequestRefused
from guest.core.response import Response
from tests.rigs.program_case import Asked, ProgramCase

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD = b"GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n"
LENGTH = (b"Content-Length", b"6")


class AnswerTests(ProgramCase):
    def test_a_whole_response(self) -> None:
        """What comes at once is one piece, and the connection waits for the next request."""
        asked = self.ask()
        self.assertEqual(self.line.take(), HEAD)
        self.program(b"HTTP/1.1 404 Nicht da\r\nA: b\r\nContent-Length: 2\r\n\r\nok")
        response = asked.result()
        self.assertEqual((response.status, response.reason), (404, b"Nicht da"))
        self.assertEqual(response.headers, [(b"A", b"b"), (b"Content-Length", b"2")])
        self.assertEqual(response.body, b"ok")
        again = self.ask()
        self.assertEqual(self.line.take(), HEAD)
        self.assertEqual(self.served(again), b"ok")
        self.assertEqual(len(self.dialler.lines), 1)

    def test_the_usual_reason_is_not_told(self) -> None:
        for status in (b"200 OK", b"200 ", b"200"):
            asked = self.ask()
            self.program(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
            self.assertIsNone(asked.result().reason)

    def test_a_streamed_response(self) -> None:
        """It is there with its head, its trailers after its body."""
        asked = self.ask()
        self.program(CHUNKED + b"1\r\na\r\n")
        response = asked.result()
        self.assertEqual(len(self.pool), 0)
        self.program(b"2\r\nbc\r\n0\r\nT: u\r\n\r\n")
        self.assertEqual(asked.read(), b"abc")
        self.assertEqual(response.final_trailers(), [(b"T", b"u")])
        self.assertEqual(len(self.pool), 1)

    def test_what_is_read_is_acknowledged(self) -> None:
        """Over TCP, while more is to come: a program without TCP_NODELAY waits for that."""

        class Tcp:
            family = socket.AF_INET
            options: ClassVar[list[tuple[int, int, int]]] = []

            def setsockopt(self, *option: int) -> None:
                self.options.append(cast("tuple[int, int, int]", option))

        asked = self.ask()
        real, self.line.socket = self.line.socket, Tcp()
        self.line.protocol.connection_made(self.line)
        self.line.socket = real
        self.program(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        self.assertEqual(Tcp.options, [(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)])
        self.program(b"ok")
        self.assertEqual(asked.read(), b"ok")
        self.assertEqual(len(Tcp.options), 1)

    def test_chunks_that_come_at_once(self) -> None:
        asked = self.ask()
        self.program(CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\nT: u\r\n\r\n")
        response = asked.result()
        self.assertEqual((response.body, response.trailers), (b"abc", [(b"T", b"u")]))
        self.assertEqual(response.headers, [])

    def test_until_the_program_closes(self) -> None:
        asked = self.ask()
        self.program(b"HTTP/1.0 200 OK\r\n\r\n", b"ab", None)
        self.assertEqual(asked.read(), b"ab")
        self.assertEqual(len(self.pool), 0)

    def test_head(self) -> None:
        """A length is that of the GET, and is not made up."""
        for field, headers in (
            (b"Content-Length: 9\r\n", [(b"Content-Length", b"9")]),
            (b"Transfer-Encoding: chunked\r\n", []),
        ):
            asked = self.ask(b"HEAD")
            self.program(b"HTTP/1.1 200 OK\r\n" + field + b"\r\n")
            response = asked.result()
            self.assertEqual(response.headers, headers)
            self.assertEqual(isinstance(response.body, bytes), bool(headers))
            self.assertEqual(len(self.pool), 1)

    def test_interim_responses(self) -> None:
        asked = self.ask()
        self.program(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n")
        self.assertEqual(asked.interims, [(103, [(b"Link", b"</a>")])])
        self.assertFalse(asked.task.done())
        self.assertEqual(self.served(asked), b"ok")

    def test_too_many_interim_responses(self) -> None:
        asked = self.ask()
        self.program(b"HTTP/1.1 199 Again\r\n\r\n")
        with self.assertRaises(RequestFailed) as raised:
            asked.result()
        self.assertIn("too many", str(raised.exception))
        self.assertTrue(self.line.aborted)

    def test_back_pressure(self) -> None:
        """What nobody takes is not read, beyond a little."""
        asked = self.ask()
        self.program(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n", bytes(100_000))
        self.assertFalse(self.line.reading)

        async def take() -> None:
            source = asked.task.result().body
            self.assertEqual(len(await source.__anext__()), 100_000)
            self.assertTrue(self.line.reading)

        self.run_until(take())
        self.program(bytes(100_000))
        self.assertEqual(len(asked.read()), 100_000)
        self.assertEqual(len(self.pool), 1)

    def test_a_long_stream_of_small_pieces(self) -> None:
        """Heads, and what is round chunks, are not what waits to be taken."""
        asked = self.ask()
        self.program(CHUNKED)
        source = asked.result().body

        async def take() -> None:
            for _ in range(1000):
                await source.__anext__()

        for _ in range(20):
            self.program(b"1\r\na\r\n" * 1000)
            self.assertTrue(self.line.reading)
            self.run_until(take())

    def test_a_response_that_cannot_be_passed_on(self) -> None:
        asked = self.ask()
        self.program(b"HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n")
        with self.assertRaises(RequestFailed) as raised:
            asked.result().checked()
        self.assertIn("200 to 599", str(raised.exception))

    def test_nobody_takes_the_rest(self) -> None:
        asked = self.ask()
        self.program(CHUNKED + b"1\r\na\r\n")
        body = asked.result().body
        self.run_until(body.aclose())
        self.run_until(body.aclose())
        self.assertTrue(self.line.aborted)

    def test_the_client_leaves(self) -> None:
        """Before there is an answer: the program sees it too."""
        asked = self.ask(b"POST", [LENGTH], None)
        asked.body.received(b"abc")
        self.leave(asked)
        self.assertTrue(self.line.aborted)
        self.assertTrue(asked.task.cancelled())


class HostTests(ProgramCase):
    host = b"localhost:5173"

    def test_another_host(self) -> None:
        self.ask()
        text = b"Host: localhost:5173\r\nX-Forwarded-Host: blog.example\r\n"
        self.assertEqual(self.line.take(), b"GET / HTTP/1.1\r\n" + text + b"\r\n")


class UploadTests(ProgramCase):
    def sent(self) -> bytes:
        self.advance()
        return self.line.take().partition(b"\r\n\r\n")[2]

    def test_a_whole_body_goes_with_its_head(self) -> None:
        asked = self.ask(b"POST", body=b"abc")
        self.assertTrue(self.line.take().endswith(b"Content-Length: 3\r\n\r\nabc"))
        self.assertEqual(self.served(asked), b"ok")

    def test_pieces_of_a_known_length(self) -> None:
        asked = self.ask(b"POST", [LENGTH], None)
        asked.body.received(b"abc")
        self.assertEqual(self.sent(), b"abc")
        asked.body.received(b"def")
        self.advance()
        self.assertEqual(self.line.take(), b"def")
        self.served(asked)
        self.assertEqual(len(self.pool), 1)

    def test_chunks(self) -> None:
        asked = self.ask(b"POST", body=None)
        asked.body.received(b"abc")
        self.assertEqual(self.sent(), b"3\r\nabc\r\n")
        asked.body.ended([(b"T", b"u")])
        self.advance()
        self.assertEqual(self.line.take(), b"0\r\nT: u\r\n\r\n")
        self.served(asked)
        self.assertEqual(len(self.pool), 1)

    def test_back_pressure(self) -> None:
        """The program's pace is that of the client."""
        asked = self.ask(b"POST", body=None)
        self.line.protocol.pause_writing()
        self.line.protocol.pause_writing()
        asked.body.received(b"a")
        self.assertEqual(self.sent(), b"1\r\na\r\n")
        asked.body.received(b"b")
        self.assertEqual(self.sent(), b"")
        self.line.protocol.resume_writing()
        self.advance()
        self.assertEqual(self.line.take(), b"1\r\nb\r\n")
        self.leave(asked)

    def test_an_early_answer(self) -> None:
        """It is passed on while the body still comes; then the connection is of no use."""
        asked = self.ask(b"POST", body=None)
        asked.body.received(b"a")
        self.program(CHUNKED + b"1\r\nx\r\n")
        self.assertEqual(asked.result().status, 200)
        asked.body.received(b"b")
        self.assertIn(b"1\r\nb\r\n", self.sent())
        self.program(b"0\r\n\r\n")
        self.assertEqual(asked.read(), b"x")
        self.assertTrue(self.line.aborted)
        self.assertEqual(len(self.pool), 0)

    def test_an_early_answer_of_a_program_that_resets(self) -> None:
        """Our write fails; what it said before is in the kernel, and is read."""
        asked = self.ask(b"POST", body=None)
        self.line.far.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        self.line.lose(ConnectionResetError(errno.ECONNRESET, "reset"))
        asked.body.received(b"a")
        self.advance()
        self.assertEqual((asked.result().status, asked.read()), (413, b"no"))

    def test_a_program_that_resets_within_its_answer(self) -> None:
        asked = self.ask(b"POST", body=None)
        self.line.far.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nn")
        self.line.far.close()
        self.line.lose(BrokenPipeError(errno.EPIPE, "pipe"))
        self.advance()
        self.assertEqual(asked.result().status, 413)
        with self.assertRaises(RequestFailed):
            asked.read()

    def test_a_program_that_resets_and_says_nonsense(self) -> None:
        asked = self.ask(b"POST", body=None)
        self.line.far.send(b"nonsense")
        self.line.lose(BrokenPipeError(errno.EPIPE, "pipe"))
        self.advance()
        with self.assertRaises(RequestFailed):
            asked.result()

    def test_writing_to_who_is_gone(self) -> None:
        """The upload ends, and says nothing: the reader does."""
        asked = self.ask(b"POST", body=None)
        self.line.protocol.pause_writing()
        asked.body.received(b"a")
        self.advance()
        self.program(None)
        with self.assertRaises(RequestFailed) as raised:
            asked.result()
        self.assertIn("before it answered", str(raised.exception))

    def test_the_clients_body_breaks_off(self) -> None:
        asked = self.ask(b"POST", [LENGTH], None)
        asked.body.received(b"abc")
        self.advance()
        self.leave(asked)
        self.assertTrue(self.line.aborted)


class ExpectTests(ProgramCase):
    def test_the_program_says_go_on(self) -> None:
        """Not before that is the client asked for its body."""
        asked = self.ask(b"POST", [LENGTH], None, expect=True)
        self.assertIn(b"\r\nExpect: 100-continue\r\n", self.line.take())
        self.assertIsNone(asked.body._waiter)
        self.program(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertIsNotNone(asked.body._waiter)
        asked.body.received(b"abcdef")
        self.advance()
        self.assertEqual(self.line.take(), b"abcdef")
        self.served(asked)
        self.assertEqual(asked.interims, [])

    def test_the_program_refuses(self) -> None:
        """The client need not send it."""
        asked = self.ask(b"POST", [LENGTH], None, expect=True)
        self.program(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(asked.result().status, 417)
        self.assertIsNone(asked.body._waiter)
        self.assertTrue(self.line.aborted)

    def test_the_program_refuses_at_length(self) -> None:
        asked = self.ask(b"POST", [LENGTH], None, expect=True)
        self.program(CHUNKED + b"1\r\na\r\n")
        self.advance(2)
        self.assertIsNone(asked.body._waiter)
        self.leave(asked)
        self.run_until(asked.result().body.aclose())

    def test_the_program_says_nothing(self) -> None:
        asked = self.ask(b"POST", [LENGTH], None, expect=True)
        self.advance(0.9)
        self.assertIsNone(asked.body._waiter)
        self.advance(0.2)
        self.assertIsNotNone(asked.body._waiter)
        self.leave(asked)


class BrokenTests(ProgramCase):
    """The program closes, at the worst of moments."""

    def used(self) -> None:
        """There is an idle connection."""
        self.served(self.ask())
        self.line.take()
        self.assertEqual(len(self.pool), 1)

    def check_failed(self, asked: Asked, reason: str) -> None:
        with self.assertRaises(RequestFailed) as raised:
            asked.result()
        self.assertIn(reason, str(raised.exception))

    def test_a_kept_connection_was_closed(self) -> None:
        """A GET that meets that goes again; the second time it is the program's fault."""
        self.used()
        asked = self.ask()
        self.program(None)
        self.assertEqual(len(self.dialler.lines), 2)
        self.assertEqual(self.line.take(), HEAD)
        self.program(None)
        self.check_failed(asked, "before it answered")
        self.assertEqual(len(self.dialler.lines), 2)

    def test_again_goes_over_a_fresh_one(self) -> None:
        """Others may be closed as well."""
        first, second = self.ask(), self.ask()
        for line in list(self.dialler.lines):
            self.program(OK, line=line)
        self.assertEqual((first.read(), second.read(), len(self.pool)), (b"ok", b"ok", 2))
        asked = self.ask()
        self.program(None)
        self.assertEqual(len(self.dialler.lines), 3)
        self.assertEqual(self.served(asked), b"ok")

    def test_a_post_goes_once(self) -> None:
        self.used()
        asked = self.ask(b"POST", body=b"x")
        self.program(None)
        self.check_failed(asked, "before it answered")
        self.assertEqual(len(self.dialler.lines), 1)

    def test_a_post_looks_first(self) -> None:
        """That the program has closed is known to the kernel before it is to the event loop."""
        self.used()
        self.line.far.close()
        asked = self.ask(b"POST", body=b"x")
        self.assertEqual(len(self.dialler.lines), 2)
        self.assertEqual(self.served(asked), b"ok")
        self.served(self.ask(b"POST", body=b"y"))
        self.assertEqual(len(self.dialler.lines), 2)

    def test_a_put_goes_again_with_its_body(self) -> None:
        self.used()
        asked = self.ask(b"PUT", body=b"abc")
        self.program(None)
        self.assertTrue(self.line.take().endswith(b"\r\n\r\nabc"))
        self.assertEqual(self.served(asked), b"ok")

    def test_a_body_of_which_nothing_was_taken(self) -> None:
        self.used()
        asked = self.ask(b"PUT", [LENGTH], None)
        self.program(None)
        self.assertEqual(len(self.dialler.lines), 2)
        asked.body.received(b"abcdef")
        self.advance()
        self.assertTrue(self.line.take().endswith(b"\r\n\r\nabcdef"))
        self.assertEqual(self.served(asked), b"ok")

    def test_a_body_of_which_some_was_taken(self) -> None:
        self.used()
        asked = self.ask(b"PUT", [LENGTH], None)
        asked.body.received(b"abc")
        self.advance()
        self.program(None)
        self.check_failed(asked, "before it answered")

    def test_an_answer_that_has_begun(self) -> None:
        self.used()
        asked = self.ask()
        self.program(b"HTTP/1.1 2", None)
        self.check_failed(asked, "before it answered")

    def test_a_body_that_breaks_off(self) -> None:
        asked = self.ask()
        self.program(CHUNKED + b"1\r\na\r\n", None)
        asked.result()
        with self.assertRaises(RequestFailed) as raised:
            asked.read()
        self.assertIn("before its end", str(raised.exception))

    def test_no_http(self) -> None:
        asked = self.ask()
        self.program(b"SSH-2.0-OpenSSH_9\r\n")
        self.check_failed(asked, "")
        self.assertTrue(self.line.aborted)

    def test_the_connection_breaks(self) -> None:
        asked = self.ask()
        self.line.lose(ConnectionResetError(errno.ECONNRESET, "reset by peer"))
        self.advance()
        self.check_failed(asked, "reset by peer")

    def test_an_answer_behind_which_it_closes(self) -> None:
        """Also where it does not say so."""
        asked = self.ask()
        self.program(OK, None)
        self.assertEqual(asked.read(), b"ok")
        self.assertEqual(len(self.pool), 0)
        other = self.ask()
        self.program(CHUNKED + b"1\r\na\r\n")
        other.result()
        self.program(b"0\r\n\r\n", None)
        self.assertEqual(other.read(), b"a")
        self.assertEqual(len(self.pool), 0)

    def test_unreachable(self) -> None:
        """Nobody has seen the request: any method may go to another guest."""
        self.dialler.refusal = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        asked = self.ask(b"POST", body=b"x")
        with self.assertRaises(RequestRefused) as raised:
            asked.result()
        self.assertIn("Connection refused", str(raised.exception))
        self.assertEqual(self.unreachable, [self.dialler.refusal])


class ResponseTests(ProgramCase):
    def test_it_is_a_response(self) -> None:
        asked = self.ask()
        self.program(OK)
        self.assertIsInstance(asked.result(), Response)

    def test_cancelled_while_it_dials(self) -> None:
        asked = Asked(self, self.ask().request, self.ask().body)
        asked.task.cancel()
        self.advance()
        self.assertRaises(asyncio.CancelledError, asked.task.result)
