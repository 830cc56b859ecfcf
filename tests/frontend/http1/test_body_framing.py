"""Where bodies end, however they are cut."""

from __future__ import annotations

import re
from itertools import pairwise

import httptools
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.errors import BadRequest, ClientError
from subproxy.frontend.http1 import body_framing
from subproxy.frontend.http1.body_framing import (
    _MAX_REMEMBERED,
    _MOST_CHUNKS,
    ChunkedBody,
    LengthBody,
    framing_of,
)
from tests.rigs.examples import examples

HEAD = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
BAD_SPACE = re.compile(rb"[ \t]*([;=])[ \t]*")


def chunked(limit: int = 0, overhead: int = 1000) -> ChunkedBody:
    return ChunkedBody(limit, overhead)


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


class FramingTests(SynchronousTestCase):
    def test_what_the_head_says(self) -> None:
        """A length, or that the last chunk ends it, within limits of its own."""
        sized = framing_of(5, 3, 7)
        assert isinstance(sized, LengthBody)
        self.assertEqual((sized.left, sized.trailers), (5, []))
        self.assertEqual(feed(framing_of(None, 5, 0), [b"5\r\nhello\r\n0\r\n\r\n"])[0], b"hello")
        self.assertRaises(ClientError, framing_of(None, 4, 0).feed, b"5\r\nhello\r\n")
        long = b"5;" + b"x" * 100 + b"\r\nhello\r\n"
        framing_of(None, 0, 100).feed(long)
        self.assertRaises(BadRequest, framing_of(None, 0, 50).feed, long)


class ChunkedBodyTests(SynchronousTestCase):
    def test_nobody_else_reads_it(self) -> None:
        body = chunked()
        self.assertEqual((body.left, body.complete, body.trailers), (0, False, []))
        self.assertRaises(AssertionError, body.skip, 1)

    def test_cut_anywhere_in_two(self) -> None:
        """The same bytes, trailers and rest."""
        for trailers in (b"", b"X: y\r\nZ: w\r\n"):
            data = b"05 ;a=b\r\nhello\r\n3\r\nabc\r\n0;c\r\n" + trailers + b"\r\n"
            for beyond in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n"):
                whole = data + beyond
                for at in range(len(whole) + 1):
                    body = chunked()
                    found = feed(body, [piece for piece in (whole[:at], whole[at:]) if piece])
                    self.assertEqual(found, (b"helloabc", beyond), at)
                    self.assertEqual(len(body.trailers), 2 if trailers else 0)

    def test_the_limits_to_the_byte_whatever_the_cut(self) -> None:
        """Of all chunks and all framing together, also where no read has a whole chunk."""
        data = b"3\r\nabc\r\n2;x\r\nde\r\n"
        extended = b"3;aaaaaaaaaaaaaaaaaaaaaaaa\r\nabc\r\n2;bbbbbbbbbbbbbbbbbbbbb\r\nde\r\n"
        overhead = len(extended) - 5 - 3 * 24
        for size in (1, 2, 10, 100):
            for text, limit, more, fits in (
                (data, 5, 100, True),
                (data, 4, 100, False),
                (extended + b"0" * 24, 0, overhead + 24, True),
                (extended + b"0" * 24, 0, overhead + 23, False),
            ):
                body = chunked(limit, more)
                pieces = [text[at : at + size] for at in range(0, len(text), size)]
                if fits:
                    self.assertEqual(feed(body, pieces)[0], b"abcde")
                else:
                    self.assertRaises(ClientError, feed, body, pieces)

    def test_the_limits_of_chunks_that_are_here_whole(self) -> None:
        """To the byte, over all reads."""
        chunk = b"1;" + b"x" * 52 + b"\r\na\r\n"
        more = len(chunk) - 1 - 24
        for reads in (1, 2, 3):
            for overhead, fits in ((reads * more - 24, True), (reads * more - 25, False)):
                body = chunked(overhead=overhead)
                for _ in range(reads - 1):
                    self.assertEqual(body.feed(chunk), (b"a", b""))
                if fits:
                    self.assertEqual(body.feed(chunk), (b"a", b""))
                else:
                    self.assertRaises(BadRequest, body.feed, chunk)
        body = chunked(limit=15)
        for _ in range(3):
            self.assertEqual(body.feed(b"5\r\nhello\r\n"), (b"hello", b""))
        error = self.assertRaises(ClientError, body.feed, b"1\r\nx\r\n")
        self.assertEqual(error.status, 413)

    def test_what_can_be_no_size_is_refused_at_once(self) -> None:
        """Not only when its line ends."""
        for pieces in (
            [b"x"],
            [b"X"],
            [b"5", b"5\0"],
            [b"5\r", b"x"],
            [b"55\r", b"x"],
            [b"555;a\r", b"\r"],
            [b"5\r\r"],
            [b"5;\x7f"],
            [b"5;a\0\r"],
        ):
            body = chunked()
            for piece in pieces[:-1]:
                self.assertEqual(body.feed(piece), (b"", b""))
            self.assertRaises(BadRequest, body.feed, pieces[-1])

    def test_a_long_size_is_no_short_one(self) -> None:
        """What looks like the end of a small chunk is data of the large one."""
        data = b"x\r\n0\r\n\r\n"
        for digits in (b"1000001", b"100001", b"0100001", b"00000000100001"):
            body = chunked()
            self.assertEqual(body.feed(digits + b"\r\n" + data), (data, b""))
            self.assertFalse(body.complete)
        body = chunked()
        self.assertEqual(body.feed(b"00000000\r\n\r\nGET"), (b"", b"GET"))

    def test_sizes_that_are_remembered_are_bounded(self) -> None:
        """However a client spells them."""
        sizes = body_framing._SIZES
        sizes.clear()
        self.addCleanup(sizes.clear)
        for count in range(1, 2 * _MAX_REMEMBERED + 1):
            chunked().feed(b"%06X\r\n%b\r\n" % (count, bytes(count)))
            self.assertEqual(len(sizes), (count - 1) % _MAX_REMEMBERED + 1)
        self.assertEqual(_MAX_REMEMBERED, 1024)

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
        for size in (15, 17):  # sixteen are told
            self.assertRaises(BadRequest, chunked().feed, b"10\r\n%b\r\n0\r\n" % (b"x" * size))

    def test_malformed_trailers_are_refused(self) -> None:
        for trailers in (b"X y", b": y", b"X : y", b"X: y\nZ: w", b"X: \0"):
            data = b"0\r\n" + trailers + b"\r\n\r\n"
            for size in (len(data), 1):
                pieces = [data[at : at + size] for at in range(0, len(data), size)]
                self.assertRaises(BadRequest, feed, chunked(), pieces)

    def test_extensions_with_white_space(self) -> None:
        """Which section 7.1.1 calls bad, and allows."""
        for line in (
            b"5;a", b"5 ;a", b"5;\ta", b"5 \t; \ta \t= \tb", b'5 ; a = "b;\\" c" ; d', b"5;a=b;c",
            b'5;a=""', b'5;a="\t!~\xff"', b"005 ;a",
        ):  # fmt: skip
            data = line + b"\r\nhello\r\n0 ; last\r\n\r\nbeyond"
            for size in (len(data), 1, 3):
                body = chunked()
                found, rest = feed(body, [data[at : at + size] for at in range(0, len(data), size)])
                self.assertEqual((found, rest), (b"hello", b"beyond"), line)

    def test_what_is_no_extension(self) -> None:
        for line in (
            b"5 ", b"5\t", b"5;", b"5; ", b"5;a ", b"5;a=", b"5;a= ", b"5;a=b ", b"5;=b", b"5;a b",
            b"5;a=b=c",
            b'5;a="b', b'5;a="b"c', b"5;a='b c'", b'5;"a"', b"5,a", b" 5", b";a", b"", b"5;a=b,c",
            b"5;\xff", b"5;a;;b",
            b'5;a="\x7f"', b'5;a="\0"',
            b"5;a\x0b;b", b"5;a\rb", b"5;a\nb", b'5;a="\\', b"0x5", b"5_",
        ):  # fmt: skip
            data = line + b"\r\nhello\r\n0\r\n\r\n"
            for size in (len(data), 1):
                pieces = [data[at : at + size] for at in range(0, len(data), size)]
                self.assertRaises(BadRequest, feed, chunked(), pieces)

    def test_sizes(self) -> None:
        for digits in (b"10000000000000000", b"f" * 17):
            self.assertRaises(BadRequest, chunked().feed, digits + b"\r\n")
        self.assertEqual(chunked().feed(b"f" * 16 + b"\r\nabc"), (b"abc", b""))
        self.assertEqual(chunked().feed(b"0" * 40 + b"3\r\nabc"), (b"abc", b""))
        body = chunked(limit=5)
        self.assertEqual(self.assertRaises(ClientError, body.feed, b"6\r\n").status, 413)

    def test_many_small_chunks_at_once(self) -> None:
        """Sizes that are known, and what is no size though it begins as one."""
        for behind in (
            b"5x",
            b"5",
            b"5\r",
            b"5\r\nhell",
            b"5\r\nhello",
            b"5\r\nhello\r",
            b"6\r\nhello!\r\n",
        ):
            body = chunked()
            data, rest = body.feed(b"5\r\nhello\r\n" * 3 + behind)
            self.assertEqual((data[:15], rest), (b"hello" * 3, b""))
        for behind in (
            b"5\r\nhelloX",
            b"5x\r\n",
            b"5\nhello",
            b"5\r\nhello\nX",
            b" 5\r\n",
            b"\r\n",
        ):
            self.assertRaises(BadRequest, chunked().feed, b"5\r\nhello\r\n" * 3 + behind)
        body = chunked(limit=15)
        self.assertEqual(body.feed(b"5\r\nhello\r\n" * 3), (b"hello" * 3, b""))
        error = self.assertRaises(ClientError, body.feed, b"1\r\nx\r\n")
        self.assertEqual(error.status, 413)
        error = self.assertRaises(ClientError, chunked(limit=14).feed, b"5\r\nhello\r\n" * 3)
        self.assertEqual(error.status, 413)

    def test_very_many_small_chunks_are_read_in_shares(self) -> None:
        for line in (
            b"1\r\n",
            b"1;a\r\n",
            b"0000001\r\n",
            b"0000001 ;a=b\r\n",
            b"0" * 15 + b"1\r\n",
        ):
            body = chunked()
            count = 3 * _MOST_CHUNKS // 2
            data = (line + b"x\r\n") * count + b"0\r\n\r\n" + b"GET"
            first, rest = body.feed(data)
            self.assertEqual(len(first), _MOST_CHUNKS)
            self.assertEqual(rest, data[(len(line) + 3) * _MOST_CHUNKS :])
            self.assertFalse(body.complete)
            self.assertEqual(body.feed(rest), (b"x" * (count - _MOST_CHUNKS), b"GET"))
            self.assertTrue(body.complete)

    def test_zeros_before_a_size_are_as_quick_as_none(self) -> None:
        taken: list[bytes] = []
        data = b"0000005;a\r\nhello\r\n000005\r\nworld\r\n0\r\n"
        self.assertEqual(chunked()._read_small(data, 0, taken), len(data) - 3)
        self.assertEqual(taken, [b"hello", b"world"])

    def test_what_just_fits_is_as_quick(self) -> None:
        taken: list[bytes] = []
        data = b"5\r\nhello\r\n"
        self.assertEqual(chunked(limit=5)._read_small(data, 0, taken), len(data))
        self.assertEqual(taken, [b"hello"])

    def test_a_line_without_an_end_is_bounded(self) -> None:
        for piece in (b"5", b"5;a=" + b"b" * 10, b'5;a="' + b" " * 10):
            for size in (1, 100, 5000):
                data = piece * 1 + piece[-1:] * 5000
                pieces = [data[at : at + size] for at in range(0, len(data), size)]
                self.assertRaises(BadRequest, feed, chunked(overhead=1000), pieces)

    @given(
        st.lists(
            st.one_of(
                st.sampled_from(
                    [
                        *(
                            b"5\r\nhello\r\n",
                            b"0\r\n",
                            b"\r\n",
                            b"\n",
                            b"\r",
                            b"1;a=b\r\nx\r\n",
                            b"a",
                        ),
                        *(
                            b"5 ; a = b\r\nhello\r\n",
                            b"X: y\r\n",
                            b"0;z\r\n",
                            b"GET / HTTP/1.1\r\n",
                        ),
                        *(
                            b'3;q="\\""\r\n\r\n\r\r\n',
                            b"0\r\n\r\n",
                            b" ",
                            b";",
                            b"=",
                            b'"',
                            b"\xff",
                            b"\0",
                        ),
                    ]
                ),
                st.binary(max_size=3),
            ),
            max_size=8,
        ).map(b"".join),
        st.lists(st.integers(0, 200), max_size=6),
    )
    @settings(deadline=None, max_examples=examples(500))
    def test_it_takes_no_more_than_llhttp(self, data: bytes, cuts: list[int]) -> None:
        """But white space in extensions, which is put out of its way here."""
        body = chunked()
        try:
            found, rest = feed(body, cut(data, cuts))
        except ClientError:
            return
        self.assertEqual((found, rest), feed(again := chunked(), [data]) if data else (b"", b""))
        taken = data[: len(data) - len(rest)]
        if not body.complete:
            return
        self.assertEqual(again.trailers, body.trailers)
        oracle = Oracle()
        parser = httptools.HttpRequestParser(oracle)
        parser.feed_data(HEAD)
        at = 0
        while at < len(taken):
            end = taken.index(b"\n", at) + 1
            line = taken[at:end]
            size = int(re.match(rb"[0-9a-fA-F]+", line)[0], 16)  # type: ignore[index]
            parser.feed_data(BAD_SPACE.sub(rb"\1", line) if b'"' not in line else line)
            at = end + size + 2
            if not size:
                at = len(taken)
            parser.feed_data(taken[end:at])
        self.assertTrue(oracle.complete)
        self.assertEqual(oracle.body, found)


class Oracle:
    """What llhttp read."""

    def __init__(self) -> None:
        self.body = b""
        self.complete = False

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True
