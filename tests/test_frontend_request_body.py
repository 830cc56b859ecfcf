"""Where bodies end, however they are cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.errors import BadRequest, ClientError
from subproxy.frontend.head_parser import MessageParser
from subproxy.frontend.request_body import ChunkedBody, LengthBody

HEAD = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(limit: int = 0, overhead: int = 1000) -> ChunkedBody:
    parser = MessageParser()
    parser.feed(HEAD)
    parser.take_fields()
    return ChunkedBody(parser, limit, overhead)


def feed(body: ChunkedBody | LengthBody, pieces: list[bytes]) -> tuple[bytes, bytes]:
    """The body, and what was beyond it."""
    found = b""
    for number, piece in enumerate(pieces):
        data, rest = body.feed(piece)
        found += data
        if body.complete:
            return found, rest + b"".join(pieces[number + 1 :])
        assert rest == b""
    return found, b""


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({each % (len(data) + 1) for each in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(at) if start < end]


class LengthBodyTests(SynchronousTestCase):
    @given(st.binary(max_size=50), st.integers(0, 60), st.lists(st.integers(0, 60)))
    def test_it_ends_at_its_length(self, data: bytes, length: int, cuts: list[int]) -> None:
        body = LengthBody(length)
        self.assertEqual(body.complete, length == 0)
        found, rest = feed(body, cut(data, cuts))
        self.assertEqual(body.complete, len(data) >= length or length == 0)
        if length:
            self.assertEqual((found, rest), (data[:length], data[length:]))

    def test_a_whole_read_is_passed_without_a_copy(self) -> None:
        data = b"x" * 100
        self.assertIs(LengthBody(100).feed(data)[0], data)
        self.assertIs(LengthBody(1000).feed(data)[0], data)

    def test_what_others_read_counts(self) -> None:
        body = LengthBody(10)
        body.skip(3)
        body.skip(1)
        self.assertEqual(body.left, 6)
        self.assertEqual(body.feed(b"x" * 7), (b"x" * 6, b"x"))
        self.assertEqual((body.left, body.complete), (0, True))


class ChunkedBodyTests(SynchronousTestCase):
    def test_the_limits_to_the_byte(self) -> None:
        body = chunked(limit=5)
        self.assertEqual(body.feed(b"5\r\nhello\r\n0\r\n\r\n"), (b"hello", b""))
        self.assertTrue(body.complete)
        # The framing of a chunk may take 24 bytes; what is more is overhead.
        for extension, fits in (47, True), (48, False):
            data = b"5;" + b"x" * extension + b"\r\nhello\r\n0\r\n\r\n"
            self.assertEqual(len(data) - 5 - 2 * 24, 10 if fits else 11)
            body = chunked(overhead=10)
            if fits:
                self.assertEqual(body.feed(data), (b"hello", b""))
            else:
                self.assertRaises(BadRequest, body.feed, data)

    @given(
        st.lists(st.one_of(st.binary(min_size=1, max_size=30), st.just(b"\r\n\r\n"))),
        st.sampled_from([[], [(b"X-A", b"b")], [(b"A", b"b"), (b"C", b"d e")]]),
        st.sampled_from([b"", b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"0\r\n\r\n"]),
        st.lists(st.integers(0, 500), max_size=20),
    )
    @settings(deadline=None)
    def test_it_ends_behind_its_trailers(
        self,
        chunks: list[bytes],
        trailers: list[tuple[bytes, bytes]],
        beyond: bytes,
        cuts: list[int],
    ) -> None:
        data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n"
        data += b"".join(b"%b: %b\r\n" % pair for pair in trailers) + b"\r\n"
        for pieces in (cut(data + beyond, cuts), [bytes((byte,)) for byte in data + beyond]):
            body = chunked()
            self.assertEqual(feed(body, pieces), (b"".join(chunks), beyond))
            self.assertTrue(body.complete)
            self.assertEqual(body.trailers, trailers)

    def test_large_chunks_come_out_whole(self) -> None:
        data = bytes(range(256)) * 1000
        body = chunked()
        found, _ = feed(body, cut(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data), [1, 65536, 131072]))
        self.assertEqual(found, data)

    def test_it_is_bounded(self) -> None:
        self.assertEqual(
            self.assertRaises(ClientError, chunked(limit=4).feed, b"5\r\nhello\r\n").status, 413
        )
        for data in (
            b"5;" + b"x" * 2000 + b"\r\nhello\r\n0\r\n\r\n",
            b"0\r\nX: " + b"y" * 2000 + b"\r\n\r\n",
            b"0\r\n" + b"X: y\r\n" * 400 + b"\r\n",
            b"1;" + b"x" * 900 + b"\r\na\r\n" + b"1;" + b"x" * 900 + b"\r\na\r\n0\r\n\r\n",
        ):
            self.assertRaises(BadRequest, chunked().feed, data)
            body = chunked()
            self.assertRaises(
                BadRequest, lambda body=body, data=data: feed(body, cut(data, [9, 99]))
            )
        # But many small chunks are only slow, not large.
        body = chunked()
        found, _ = feed(body, [b"1\r\na\r\n"] * 5000 + [b"0\r\n\r\n"])
        self.assertEqual(len(found), 5000)

    def test_what_is_malformed_is_refused(self) -> None:
        for data in (b"x\r\n", b"5\r\nhelloX", b"-1\r\n", b"5\nhello\r\n", b"\r\n"):
            self.assertRaises(BadRequest, chunked().feed, data)
