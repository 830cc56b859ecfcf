"""Tests for L{guest.sidecar.adapter}: frames of a proxy, and a program in memory."""

from __future__ import annotations

from typing import Any

from guest.sidecar.adapter import ProgramAdapter
from guest.sidecar.bridge import ProgramBridge
from guest.sidecar.connection import ProgramConnection
from guest.sidecar.pool import ConnectionPool
from subproxy.wire.frames import encode
from tests.guest.asyncio.test_connection import LoopTestCase
from tests.rigs.asgi_case import request
from tests.rigs.asyncio_guest import LoopGuest
from tests.rigs.clock_loop import MemoryTransport
from tests.rigs.program_case import MemoryDialler

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Kind: a\r\n\r\n"
    b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
)
HINTED = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK


class AdapterTests(LoopTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.dialler = MemoryDialler(self)  # type: ignore[arg-type]
        self.number = 0

        def adapted(runtime: Any, profile: Any, answer: Any, *args: Any) -> Any:
            loop = runtime.later.__self__
            self.pool = ConnectionPool(loop, self.dialler)  # type: ignore[arg-type]
            bridge = ProgramBridge(self.pool, b"a:1", None, lambda error: None, 10.0)
            return LoopGuest.plain(runtime, profile, ProgramAdapter(bridge), *args)

        self.subscription = self.guest(connection=adapted)
        self.subscription.frames()
        self.subscription.send(
            encode([b"welcome", {b"version": 1}]) + encode([b"registered", 1, {}])
        )
        # So that there is a connection that waits.
        self.ask()
        self.assertEqual(self.program(OK), [[b"response", 1, 200, self.LENGTH, {}, b"ok"]])
        self.line.take()

    LENGTH = [[b"Content-Length", b"2"]]

    def test_a_response_that_can_not_be_passed_on(self) -> None:
        """Its connection is not left open: nobody takes what follows."""
        self.ask()
        head = b"HTTP/1.1 600 Odd\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
        ((verb, _, code, _),) = self.program(head)
        self.assertEqual((verb, code), (b"abort", b"error"))
        self.assertTrue(self.line.aborted)

    @property
    def line(self) -> MemoryTransport:
        return self.dialler.lines[-1]

    def ask(self, method: bytes = b"GET", content: bytes = b"", **info: Any) -> bytes:
        """What the program gets of a request."""
        self.number += 1
        told = {name.encode(): value for name, value in info.items()}
        self.subscription.send(
            request(b"/", method, info=told, content=content, number=self.number)
        )
        return self.line.take()

    def program(self, *data: bytes | None, line: MemoryTransport | None = None) -> list[Any]:
        """The program sends; None: it closes. What the proxy gets then."""
        line = line or self.line
        protocol: ProgramConnection = line.protocol  # type: ignore[assignment]
        for piece in data:
            if piece is None:
                protocol.eof_received()
                line.lose(None)
            elif piece:
                protocol.data_received(piece)
            self.subscription.loop.advance()
        return self.subscription.frames()

    def body(self, frames: list[Any]) -> bytes:
        """What comes of an answer, whichever frames it is in."""
        first = next(frame for frame in frames if frame[0] == b"response" and frame[2] >= 200)
        whole: bytes = first[5] or b""
        return whole + b"".join(frame[2] for frame in frames if frame[0] == b"body")

    def test_a_whole_answer(self) -> None:
        """Over the connection that there is, which then waits again."""
        head = b"GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n"
        for _ in range(3):
            self.assertEqual(self.ask(), head)
            self.assertEqual(
                self.program(OK), [[b"response", self.number, 200, self.LENGTH, {}, b"ok"]]
            )
        self.assertEqual((len(self.dialler.lines), len(self.pool)), (1, 1))

    def test_what_the_program_is_asked(self) -> None:
        asked = self.ask(b"POST", b"four", trailers=True)
        self.assertIn(b"\r\nContent-Length: 4\r\n", asked)
        self.assertTrue(asked.endswith(b"TE: trailers\r\nConnection: TE\r\n\r\nfour"), asked)

    def test_cut_anywhere(self) -> None:
        for answer, content in ((OK, b"ok"), (CHUNKED, b"abcdef"), (HINTED, b"ok")):
            for cut in range(len(answer) + 1):
                self.ask()
                frames = self.program(answer[:cut], answer[cut:])
                self.assertEqual(self.body(frames), content, cut)
                interim = [frame[2] for frame in frames if frame[0] == b"response"]
                self.assertEqual(interim, [103, 200] if answer is HINTED else [200])
        self.assertEqual(len(self.dialler.lines), 1)

    def test_byte_by_byte(self) -> None:
        self.ask()
        frames = self.program(*(CHUNKED[at : at + 1] for at in range(len(CHUNKED))))
        self.assertEqual(self.body(frames), b"abcdef")

    def test_answers_that_are_not_usual(self) -> None:
        for answer, status, content in (
            (b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
            (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
            (b"HTTP/1.1 304 Not Modified\r\nETag: a\r\n\r\n", 304, b""),
            (CHUNKED[:-2] + b"X-Sum: 6\r\n\r\n", 200, b"abcdef"),
        ):
            self.ask()
            frames = self.program(answer)
            self.assertEqual((frames[0][2], self.body(frames)), (status, content))
        self.assertEqual(frames[-1], [b"end", self.number, [[b"X-Sum", b"6"]], {}])

    def test_longer_than_a_frame_takes(self) -> None:
        content = bytes(70_000)
        self.ask()
        frames = self.program(b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + content)
        while not any(frame[0] == b"end" for frame in frames):
            self.subscription.send(encode([b"credit", self.number, 65_536]))
            frames += self.subscription.frames()
        self.assertEqual(self.body(frames), content)

    def test_head(self) -> None:
        self.ask(b"HEAD")
        (frame,) = self.program(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")[:1]
        self.assertEqual(frame[2:4], [200, [[b"Content-Length", b"9"]]])

    def test_no_answer_that_can_be_passed_on(self) -> None:
        self.ask()
        (frame,) = self.program(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000 + b"\r\n\r\n")
        self.assertEqual(frame[:3], [b"abort", self.number, b"error"])

    def test_until_the_program_closes(self) -> None:
        self.ask()
        frames = self.program(b"HTTP/1.1 200 OK\r\n\r\nall", b" of it", None)
        self.assertEqual(self.body(frames), b"all of it")
        self.assertEqual(len(self.pool), 0)

    def test_a_connection_that_was_closed(self) -> None:
        """What may come twice goes over a fresh one; a POST is not asked again."""
        asked = self.ask()
        self.assertEqual(self.program(None), [])
        self.assertEqual((len(self.dialler.lines), self.line.take()), (2, asked))
        self.assertEqual(self.program(OK)[0][2], 200)
        self.ask(b"POST", b"x")
        (frame,) = self.program(None)
        self.assertEqual((frame[:3], len(self.dialler.lines)), ([b"abort", 3, b"error"], 2))

    def test_the_client_leaves(self) -> None:
        """The program is told by a reset, and the next one gets another connection."""
        self.ask()
        line = self.line
        self.subscription.send(encode([b"abort", self.number, b"client", b"left"]))
        self.assertEqual((line.aborted, self.subscription.frames()), (True, []))
        self.ask()
        self.assertEqual(len(self.dialler.lines), 2)
        self.assertEqual(self.program(OK)[0][1], self.number)

    def test_the_client_leaves_amid_the_answer(self) -> None:
        self.ask()
        self.program(CHUNKED[:-20])
        self.subscription.send(encode([b"abort", self.number, b"client", b"left"]))
        self.assertTrue(self.line.aborted)

    def test_the_proxy_is_gone(self) -> None:
        self.ask()
        self.subscription.stream.lose(None)
        self.subscription.loop.advance()
        self.assertTrue(self.line.aborted)

    def test_several_at_once(self) -> None:
        """Each has a connection; their answers are one write."""
        self.subscription.send(b"".join(request(number=number) for number in (2, 3)))
        first, second = self.dialler.lines
        for line in (first, second):
            line.protocol.data_received(OK)  # type: ignore[attr-defined]
        self.subscription.loop.advance()
        self.assertEqual([frame[1] for frame in self.subscription.frames()], [2, 3])
        self.assertEqual(len(self.pool), 2)

    def test_it_is_finished_before_we_leave(self) -> None:
        self.ask()
        self.subscription.stop()
        verbs = [frame[0] for frame in self.subscription.frames()]
        self.assertNotIn(b"bye", verbs)
        self.assertEqual(self.program(OK)[0][2], 200)
