"""Responses of a program, read."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import h11
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest.sidecar.response_reader import (
    MOST_UNREAD,
    AnswerEnd,
    AnswerHead,
    BadResponse,
    ResponseReader,
)

CLOSED = object()


def read(*pieces: Any, method: bytes = b"GET") -> tuple[list[Any], ResponseReader]:
    """The events of one response, and its reader."""
    reader = ResponseReader()
    reader.begin(method)
    for piece in pieces:
        if piece is CLOSED:
            reader.eof()
        else:
            reader.feed(piece)
    return list(reader.events), reader


def head(*lines: bytes, status: bytes = b"200 OK", version: bytes = b"1.1") -> bytes:
    return b"HTTP/%b %b\r\n" % (version, status) + b"".join(b"%b\r\n" % x for x in lines) + b"\r\n"


class ReadTests(SynchronousTestCase):
    def test_length(self) -> None:
        events, reader = read(head(b"A:  b ", b"content-length: 3") + b"abc")
        fields = [(b"A", b"b"), (b"content-length", b"3")]
        self.assertEqual(events, [AnswerHead(200, b"OK", fields, 3), b"abc", AnswerEnd()])
        self.assertTrue(reader.complete and reader.reusable)

    def test_chunks_and_trailers(self) -> None:
        text = head(b"transfer-encoding: Chunked") + b"3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n"
        events, reader = read(text)
        self.assertEqual(events[1:], [b"abc", AnswerEnd([(b"T", b"u")])])
        self.assertTrue(reader.reusable)

    def test_until_the_end_of_the_connection(self) -> None:
        events, reader = read(head(b"Connection: keep-alive"), b"ab", b"c", CLOSED)
        self.assertEqual(events[1:], [b"ab", b"c", AnswerEnd()])
        self.assertFalse(reader.reusable)

    def test_interim_responses(self) -> None:
        hints = head(b"Link: </a>", status=b"103 Early Hints")
        text = head(status=b"100 Continue") + hints + head(b"Content-Length: 0")
        events, reader = read(text)
        self.assertEqual([each.status for each in events[:3]], [100, 103, 200])
        self.assertEqual(events[1].headers, [(b"Link", b"</a>")])
        self.assertEqual(events[2].headers, [(b"Content-Length", b"0")])
        self.assertEqual(events[2].reason, b"OK")
        self.assertTrue(reader.reusable)

    def test_no_body(self) -> None:
        """Whatever the head says of one."""
        for method, status in ((b"HEAD", b"200 OK"), (b"GET", b"204 No"), (b"GET", b"304 Not")):
            for field in (b"Content-Length: 5", b"Transfer-Encoding: chunked", b"A: b"):
                events, reader = read(head(field, status=status), method=method)
                self.assertEqual(events[1:], [AnswerEnd()])
                self.assertTrue(reader.complete and reader.reusable, (method, status, field))
                reader.begin(b"GET")
                reader.feed(head(b"Content-Length: 1") + b"x")
                self.assertEqual(list(reader.events)[3:], [b"x", AnswerEnd()])

    def test_a_body_behind_an_answer_to_head(self) -> None:
        """It is not taken for another response; the connection is of no use any more."""
        events, reader = read(head(b"Content-Length: 3") + b"abc", method=b"HEAD")
        self.assertEqual(events[1:], [AnswerEnd()])
        self.assertFalse(reader.reusable)

    def test_more_than_one_response(self) -> None:
        for more in (b"x", head(b"Content-Length: 1") + b"b"):
            events, reader = read(head(b"Content-Length: 1") + b"a" + more)
            self.assertEqual(events[1:], [b"a", AnswerEnd()])
            self.assertFalse(reader.reusable, more)

    def test_what_stays(self) -> None:
        length = b"Content-Length: 0"
        for text, stays in (
            (head(length, b"Connection: Close"), False),
            (head(length, b"Connection: x, close"), False),
            (head(length, b"Connection: x", b"Connection: y"), True),
            (head(length, version=b"1.0"), False),
            (head(length, b"Connection: Keep-Alive", version=b"1.0"), True),
        ):
            self.assertIs(read(text)[1].reusable, stays, text)

    def test_how_long_it_stays(self) -> None:
        for value, seconds in (
            (b"timeout=5", 5.0),
            (b"max=100, Timeout=1", 1.0),
            (b"timeout=x", None),
            (b"timeout=9999999999", None),
            (b"max=3", None),
        ):
            _, reader = read(head(b"Content-Length: 0", b"Keep-Alive: " + value))
            self.assertEqual(reader.idle_limit, seconds, value)

    def test_responses_follow_each_other(self) -> None:
        _, reader = read(head(b"Connection: x", b"Content-Length: 0"))
        reader.events.clear()
        reader.begin(b"GET")
        self.assertFalse(reader.complete or reader.reusable)
        reader.feed(head(b"Content-Length: 1", status=b"404 Not Found") + b"a")
        self.assertEqual(reader.events[0].status, 404)
        self.assertEqual(reader.events[0].reason, b"Not Found")


class RefusedTests(SynchronousTestCase):
    def check(self, reason: str, *pieces: Any, method: bytes = b"GET") -> None:
        with self.assertRaises(BadResponse) as raised:
            read(*pieces, method=method)
        self.assertIn(reason, str(raised.exception))

    def test_what_is_no_response(self) -> None:
        length = b"Content-Length: 3"
        self.check("101", head(b"Upgrade: x", b"Connection: upgrade", status=b"101 Switching"))
        self.check("101", head(status=b"101 Switching"))
        self.check("Transfer-Encoding", head(b"Transfer-Encoding: gzip, chunked"))
        self.check("Transfer-Encoding", head(b"Transfer-Encoding: gzip"))
        self.check("Transfer-Encoding", head(b"Transfer-Encoding: chunked", version=b"1.0"))
        self.check("HTTP/2.0", head(length, version=b"2.0"))
        self.check("Content-Length", head(length, b"Content-Length: 4"))
        self.check("Content-Length", head(length, b"Transfer-Encoding: chunked"))
        self.check("", b"SSH-2.0-OpenSSH\r\n")
        self.check("", b"HTTP/1.1 200 OK\n\n")
        self.check("", head(b"Transfer-Encoding: chunked") + b"x\r\n")

    def test_what_breaks_off(self) -> None:
        self.check("before it answered", CLOSED)
        self.check("before it answered", b"HTTP/1.1 200 OK\r\nA: b", CLOSED)
        self.check("before it answered", head(status=b"103 Early Hints"), CLOSED)
        self.check("before its end", head(b"Content-Length: 3") + b"ab", CLOSED)
        self.check("before its end", head(b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n", CLOSED)

    def test_what_never_ends(self) -> None:
        """A head, a trailer section, the extension of a chunk."""
        chunked = head(b"Transfer-Encoding: chunked")
        for begun in (b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nA: ", chunked + b"0\r\nA: "):
            pieces = [begun, *(b"a" * 16_384 for _ in range(MOST_UNREAD // 16_384 + 1))]
            self.check("over 131072 bytes", *pieces)
        many = [b"A: b\r\n" * 1000 for _ in range(23)]
        self.check("over 131072 bytes", b"HTTP/1.1 200 OK\r\n", *many)

    def test_a_long_body_is_no_long_head(self) -> None:
        pieces = [b"a" * 16_384 for _ in range(20)]
        events, _ = read(head(b"Content-Length: 327680"), *pieces)
        self.assertEqual(events[-1], AnswerEnd())


TOKEN = st.text("abcXYZ-0", min_size=1, max_size=8).map(lambda text: b"X-" + text.encode())
VALUE = st.binary(max_size=12).map(lambda data: bytes(c for c in data if c > 32 and c != 127))
FIELDS = st.lists(st.tuples(TOKEN, VALUE), max_size=4)


class OracleTests(SynchronousTestCase):
    """What h11 writes as a server is read as it was meant, however it is cut."""

    @given(
        interim=st.lists(st.tuples(st.sampled_from([100, 102, 103]), FIELDS), max_size=3),
        status=st.sampled_from([200, 201, 206, 301, 404, 500]),
        fields=FIELDS,
        pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=4),
        trailers=st.none() | FIELDS,
        cuts=st.lists(st.integers(0, 500), max_size=6),
    )
    def test_h11(
        self, interim: Any, status: int, fields: Any, pieces: Any, trailers: Any, cuts: Any
    ) -> None:
        server = h11.Connection(h11.SERVER)
        server.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        server.next_event(), server.next_event()
        text = b""
        for number, section in interim:
            text += server.send(h11.InformationalResponse(status_code=number, headers=section))
        body = b"".join(pieces)
        framing = (
            [(b"Content-Length", b"%d" % len(body))]
            if trailers is None
            else [(b"Transfer-Encoding", b"chunked")]
        )
        text += server.send(h11.Response(status_code=status, headers=[*fields, *framing]))
        for piece in pieces:
            text += server.send(h11.Data(data=piece))
        text += server.send(h11.EndOfMessage(headers=trailers or []))
        cuts = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
        events, reader = read(*(text[a:b] for a, b in pairwise(cuts) if a < b))
        heads = [each for each in events if isinstance(each, AnswerHead)]
        self.assertEqual([each.status for each in heads], [n for n, _ in interim] + [status])
        for found, (_, section) in zip(heads, [*interim, (0, [*fields, *framing])], strict=True):
            self.assertEqual(found.headers, list(section))
        self.assertEqual(b"".join(each for each in events if isinstance(each, bytes)), body)
        self.assertEqual(events[-1], AnswerEnd(list(trailers or [])))
        self.assertTrue(reader.reusable)

    @given(st.lists(st.binary(max_size=60), max_size=5))
    def test_nothing_else_is_raised(self, pieces: list[bytes]) -> None:
        reader = ResponseReader()
        reader.begin(b"GET")
        try:
            for piece in pieces:
                reader.feed(piece)
            reader.eof()
        except BadResponse:
            pass
