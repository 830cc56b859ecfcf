"""Tests for L{guest.core.response_body}."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from guest.core.response_body import OutgoingBody, UnreadBody


class Source:
    """An iterable that knows what was done to it."""

    def __init__(self, *pieces: Any) -> None:
        self.pulled = 0
        self.closed = 0
        self._pieces = pieces

    def __iter__(self) -> Iterator[Any]:
        for piece in self._pieces:
            self.pulled += 1
            yield piece

    def close(self) -> None:
        self.closed += 1


async def slowly(*pieces: Any) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece


async def all_of(body: OutgoingBody) -> list[bytes]:
    found = []
    while (piece := await body.next()) is not None:
        found.append(piece)
    return found


class OutgoingTests(SynchronousTestCase):
    """Pieces are pulled one at a time."""

    def pull(self, body: OutgoingBody) -> list[bytes]:
        found: list[bytes] = self.successResultOf(Deferred.fromCoroutine(all_of(body)))
        return found

    def fails(self, body: OutgoingBody, kind: type[Exception]) -> None:
        self.failureResultOf(Deferred.fromCoroutine(all_of(body)), kind)

    def test_iterables_of_both_kinds(self) -> None:
        self.assertEqual(self.pull(OutgoingBody([b"a", b"b"], None)), [b"a", b"b"])
        self.assertEqual(self.pull(OutgoingBody(slowly(b"a", b"b"), None)), [b"a", b"b"])

    def test_empty_pieces_are_left_out(self) -> None:
        self.assertEqual(self.pull(OutgoingBody([b"", b"a", b"", b"b", b""], None)), [b"a", b"b"])

    def test_what_looks_like_bytes(self) -> None:
        views = [bytearray(b"a"), memoryview(b"b")]
        self.assertEqual(self.pull(OutgoingBody(views, None)), [b"a", b"b"])

    def test_one_piece_is_pulled_at_once(self) -> None:
        source = Source(b"a", b"b")
        body = OutgoingBody(source, None)
        self.assertEqual(source.pulled, 1)
        self.assertEqual(self.pull(body), [b"a", b"b"])

    def test_lengths(self) -> None:
        self.assertEqual(self.pull(OutgoingBody([b"ab", b"c"], 3)), [b"ab", b"c"])
        for length in (2, 4):
            self.fails(OutgoingBody([b"ab", b"c"], length), ValueError)
            self.fails(OutgoingBody(slowly(b"ab", b"c"), length), ValueError)

    def test_wrong_types(self) -> None:
        bad: Any
        for bad in ("text", 7, None):
            self.assertRaises(TypeError, OutgoingBody, bad, None)
        for bad in (["text"], [7], [b"a", [b"b"]]):
            self.fails(OutgoingBody(bad, None), TypeError)

    def close(self, body: OutgoingBody) -> None:
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(body.close())))

    def test_sources_are_closed(self) -> None:
        source = Source(b"a", b"b")
        self.close(OutgoingBody(source, None))
        generator = iter(source)
        body = OutgoingBody(generator, None)
        self.close(body)
        self.assertEqual(list(generator), [])

    def test_asynchronous_sources_are_closed(self) -> None:
        seen: list[str] = []

        async def source() -> AsyncIterator[bytes]:
            try:
                yield b"a"
                yield b"b"
            finally:
                seen.append("closed")

        body = OutgoingBody(source(), None)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(body.next())), b"a")
        self.close(body)
        self.assertEqual(seen, ["closed"])

    def test_a_source_without_close(self) -> None:
        self.close(OutgoingBody([b"a"], None))

    def test_an_unread_source_is_closed(self) -> None:
        source = Source(b"a")
        self.close(UnreadBody(source))
        self.assertEqual((source.pulled, source.closed), (0, 1))

    @given(st.lists(st.binary(max_size=6), max_size=10), st.integers(-3, 3))
    def test_the_length_decides(self, pieces: list[bytes], off: int) -> None:
        size = len(b"".join(pieces))
        body = OutgoingBody(iter(pieces), size + off)
        if off:
            if size + off >= 0:
                self.fails(body, ValueError)
        else:
            self.assertEqual(b"".join(self.pull(body)), b"".join(pieces))
