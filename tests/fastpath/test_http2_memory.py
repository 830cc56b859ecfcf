"""What one client of HTTP/2 can make the proxy hold, whatever it does: it is counted."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from functools import lru_cache

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.frontend.http2.bounds import CONNECTION_WINDOW, MOST_STREAMS, MOST_WAITING
from subproxy.frontend.http2.frames import (
    END_HEADERS,
    PREFACE,
    FrameType,
    write_frame,
    write_settings,
)
from subproxy.frontend.http2.hpack import encode_fields
from subproxy.wire import messages as m
from subproxy.wire.frames import FrameDecoder
from tests.rigs.fastpath_rig import Side
from tests.rigs.frozen import frozen_as_before
from tests.rigs.http2_client import GET, POST, Headers

AT_MOST = 65_536 + 1_048_576
"""Bytes: of a connection, and of the heads and bodies of its streams."""

LARGEST_ANSWER = 65_536
"""Bytes of body that a guest may send of each answer before the client has taken some."""

WINDOW_OF_NONE = {4: 0}
"""SETTINGS of a client that takes no data."""


class Http2MemoryTests(SynchronousTestCase):
    skip = unavailable()

    def setUp(self) -> None:
        """What is there already is not looked at again, each time that garbage is collected."""
        self.addCleanup(frozen_as_before())
        gc.collect()
        gc.freeze()

    def held(
        self, frames: Iterator[bytes], guest: Callable[[Side], None] = lambda side: None
    ) -> int:
        """Bytes that are held more behind C{frames} than before; the guest acts after each."""
        # What is remembered of routes, hosts and the like is not the connection's.
        for _ in range(2):
            side = Side(True)
            side.protocol.dataReceived(PREFACE + write_settings(WINDOW_OF_NONE))
            for number in range(1, 20, 2):
                side.protocol.dataReceived(headers(number, GET, True))
                side.world.advance(0)
            side.connect()
        side.protocol.dataReceived(PREFACE + write_settings(WINDOW_OF_NONE))
        side.world.advance(0)
        self.clear(side)
        gc.collect()
        tracemalloc.start()
        try:
            for frame in frames:
                side.protocol.dataReceived(frame)
                side.world.advance(0)
                guest(side)
                side.world.advance(0)
                self.clear(side)
            gc.collect()
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        side.protocol.connectionLost(None)
        side.log.close()
        return size

    def clear(self, side: Side) -> None:
        side.guest_transport.clear()
        side.transport.clear()
        side.log.waiting.take()

    def test_heads(self) -> None:
        """As many streams as may be, with heads as large as may be: few large fields, or many."""
        for fields in (
            [(b"x-large", b"v" * 15_000)],
            [(b"x-%02d" % each, b"v" * 140) for each in range(90)],
            [(b"x-%02d" % each, b"v") for each in range(95)],
            [(b"cookie", b"a=b") for _ in range(400)],
        ):
            for base, ended in (
                (GET, True),
                (POST, False),
                ([*GET, (b"max-forwards", b"1")], True),
            ):
                size = self.held(
                    headers(number, [*base, *fields], ended)
                    for number in range(1, 2 * MOST_STREAMS, 2)
                )
                self.assertLess(size, AT_MOST, (fields[0], base[0], ended))

    def test_bodies(self) -> None:
        """Bodies that no guest takes, in frames large and small, on all streams at once."""
        for piece, count, field in ((16_384, 64, 100), (16_000, 100, 3500), (100, 3000, 3500)):
            size = self.held(self.bodies(piece, count, field))
            self.assertLess(size, AT_MOST, (piece, field))

    def bodies(self, piece: int, count: int, field: int) -> Iterator[bytes]:
        streams = range(1, 2 * MOST_STREAMS, 2)
        for number in streams:
            large = (b"x-large", b"v" * field)
            yield headers(number, [*POST, large, (b"content-length", b"60000")], False)
        left = CONNECTION_WINDOW
        for each in range(count):
            number = streams[each % len(streams)]
            if left >= piece:
                left -= piece
                yield write_frame(FrameType.DATA, 0, number, b"x" * piece)

    def test_answers(self) -> None:
        """
        Answers of which the client takes nothing, however they come: what further requests would
        make of them waits, beside the heads and bodies of all.
        """
        streams = range(1, 2 * MOST_STREAMS, 2)
        large = (b"x-large", b"v" * 3000)
        asked: dict[str, Callable[[], Iterator[bytes]]] = {
            "small heads": lambda: (headers(number, GET, True) for number in streams),
            "large heads": lambda: (headers(number, [*GET, large], True) for number in streams),
            "bodies": lambda: (
                headers(number, [*POST, large], False)
                + write_frame(FrameType.DATA, 1, number, b"x" * 5000)
                for number in streams
            ),
            "bodies that are not taken": lambda: (
                headers(number, [*POST, large, (b"content-length", b"60000")], False)
                + write_frame(FrameType.DATA, 0, number, b"x" * 5000)
                for number in streams
            ),
        }
        for what, frames in asked.items():
            for manner in (whole, streamed, piecemeal, many_fields):
                guest = Answering(manner)
                size = self.held(frames(), guest)
                self.assertLess(size, AT_MOST + MOST_WAITING + LARGEST_ANSWER, (what, manner))
                if what != "bodies that are not taken":
                    self.assertGreater(guest.answered, 7, (what, manner))

    def test_answers_at_once(self) -> None:
        """Who asks for all before the first is answered has each of those, and no more, wait."""
        burst = b"".join([headers(each, GET, True) for each in range(1, 2 * MOST_STREAMS, 2)])
        for manner in (whole, streamed):
            size = self.held(iter([burst]), Answering(manner))
            self.assertLess(size, AT_MOST + MOST_STREAMS * LARGEST_ANSWER, manner)

    def test_what_is_not_whole(self) -> None:
        """A block of fields, and a frame, whose ends never come."""
        block = [write_frame(FrameType.HEADERS, 0, 1, b"\x82")]
        block += [write_frame(FrameType.CONTINUATION, 0, 1, b"\0" * 9000)] * 7
        self.assertLess(self.held(iter(block)), 131_072)
        part = write_frame(FrameType.DATA, 0, 1, b"x" * 16_384)[:-1]
        self.assertLess(self.held(iter([part[:5000], part[5000:]])), 65_536)


class Answering:
    """
    A guest that answers all that it is asked, as it comes.

    @param manner: the frames of one answer.
    @ivar answered: how many.
    """

    def __init__(self, manner: Callable[[int], bytes]) -> None:
        self._manner = manner
        self.answered = 0

    def __call__(self, side: Side) -> None:
        frames = FrameDecoder(1 << 20)
        frames.feed(side.guest_transport.value())
        side.guest_transport.clear()
        while (frame := frames.next()) is not None:
            event = m.parse(frame)
            if isinstance(event, m.Request):
                self.answered += 1
                side.guest.dataReceived(self._manner(event.exchange))
                side.world.advance(0)


def whole(number: int) -> bytes:
    """In one frame, as large as it may be."""
    return m.Response(number, 200, [], {}, b"a" * LARGEST_ANSWER).encode()


def streamed(number: int) -> bytes:
    """All of the window at once; there is more to come."""
    head = m.Response(number, 200, [], {}, None).encode()
    return head + b"".join(
        [m.Body(number, b"a" * 16_384).encode() for _ in range(LARGEST_ANSWER // 16_384)]
    )


def piecemeal(number: int) -> bytes:
    """The same in small pieces."""
    head = m.Response(number, 200, [], {}, None).encode()
    return head + m.Body(number, b"a" * 256).encode() * (LARGEST_ANSWER // 256)


def many_fields(number: int) -> bytes:
    """A large head, and what it is for."""
    fields = [(b"x-%02d" % each, b"v" * 500) for each in range(60)]
    return m.Response(number, 200, fields, {}, b"a" * 30_000).encode()


@lru_cache(64)
def encoded(fields: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The block of fields: the same ones for each stream."""
    return encode_fields(fields)


def headers(number: int, fields: Headers, ended: bool) -> bytes:
    """HEADERS, and CONTINUATION where they are long."""
    block = encoded(tuple(fields))
    out, kind, flags = b"", FrameType.HEADERS, 1 if ended else 0
    while len(block) > 16_384:
        out += write_frame(kind, flags, number, block[:16_384])
        block, kind, flags = block[16_384:], FrameType.CONTINUATION, 0
    return out + write_frame(kind, flags | END_HEADERS, number, block)
