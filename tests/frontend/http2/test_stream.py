"""Tests of subproxy.frontend.http2.stream, sender and window."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.http2.bounds import CONNECTION_WINDOW, MOST_WAITING
from subproxy.frontend.http2.counts import Http2Counts
from subproxy.frontend.http2.frames import (
    FRAME_SIZE,
    PREFACE,
    Frame,
    FrameReader,
    FrameType,
    Http2Error,
)
from subproxy.frontend.http2.sender import Http2Sender
from subproxy.frontend.http2.stream import Http2Stream, StreamState
from subproxy.frontend.http2.window import ConnectionWindow


def frames(data: bytes) -> list[Frame]:
    return FrameReader().feed(PREFACE + data)


class StreamTests(SynchronousTestCase):
    def test_both_orders_of_its_ends(self) -> None:
        """Whoever ends first closes one half."""
        stream = Http2Stream(1, 10, 10)
        stream.client_ended()
        self.assertEqual((stream.client_sends, stream.we_send), (False, True))
        stream.we_ended()
        self.assertIs(stream.state, StreamState.CLOSED)
        stream = Http2Stream(1, 10, 10)
        stream.we_ended()
        self.assertEqual((stream.client_sends, stream.we_send), (True, False))
        stream.client_ended()
        self.assertIs(stream.state, StreamState.CLOSED)
        self.assertRaises(AssertionError, stream.client_ended)

    def test_data_in_frames(self) -> None:
        """Small pieces are joined, large ones cut; never more than is asked for."""
        stream = Http2Stream(1, 10, 100_000)
        for piece in (b"a" * 10, b"b" * 10, b"c" * 20_000):
            stream.add(piece)
        self.assertEqual(stream.data[0], b"a" * 10 + b"b" * 10)
        self.assertEqual(stream.take(15), b"a" * 10 + b"b" * 5)
        self.assertEqual(stream.take(1 << 20), b"b" * 5)
        self.assertEqual(len(stream.take(1 << 20)), FRAME_SIZE)
        self.assertEqual((stream.waiting, stream.sent), (20_000 - FRAME_SIZE, 20 + FRAME_SIZE))
        stream.forget()
        self.assertEqual(stream.waiting, 0)


class SenderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counts = Http2Counts()
        self.sender = Http2Sender(self.counts)
        self.stream = Http2Stream(1, 10, 65_535)
        self.stream.client_ended()

    def sent(self, room: int = 1 << 20) -> list[tuple[int, int, bytes]]:
        return [
            (each.kind, each.flags, each.payload)
            for each in frames(b"".join(self.sender.take(room)))
        ]

    def test_ends(self) -> None:
        """The last frame of a stream says that it is the last."""
        self.sender.block(self.stream, b"h")
        self.sender.end(self.stream, None)
        self.assertEqual(self.sent(), [(1, 5, b"h")])
        self.sender.block(self.stream, b"h")
        self.sender.data(self.stream, b"data")
        self.sender.end(self.stream, None)
        self.assertEqual(self.sent(), [(1, 4, b"h"), (0, 1, b"data")])
        self.sender.data(self.stream, b"data")
        self.sender.end(self.stream, b"t")
        self.assertEqual(self.sent(), [(0, 0, b"data"), (1, 5, b"t")])
        self.stream.ends = False
        self.sender.data(self.stream, b"data")
        self.assertEqual(self.sent(), [(0, 0, b"data")])
        self.sender.end(self.stream, None)
        self.assertEqual(self.sent(), [(0, 1, b"")])
        self.assertEqual(self.sender.ended, [self.stream] * 4)

    def test_large_blocks(self) -> None:
        """What is longer than a frame goes on in CONTINUATION."""
        self.sender.block(self.stream, b"x" * 40_000)
        self.sender.end(self.stream, None)
        kinds = [(kind, flags, len(data)) for kind, flags, data in self.sent()]
        self.assertEqual(
            kinds, [(1, 1, FRAME_SIZE), (9, 0, FRAME_SIZE), (9, 4, 40_000 - 2 * FRAME_SIZE)]
        )

    def test_an_empty_table(self) -> None:
        """Who has made the table smaller is told once that it is empty."""
        self.counts.shrinks = True
        self.sender.block(self.stream, b"h")
        self.sender.block(self.stream, b"i")
        self.assertEqual([data for _, _, data in self.sent()], [b"\x20h", b"i"])

    def test_no_window(self) -> None:
        """Data wait for the windows of stream and connection; fields do not."""
        self.counts.room = 3
        self.sender.block(self.stream, b"h")
        self.sender.data(self.stream, b"data")
        self.assertEqual([data for _, _, data in self.sent()], [b"h", b"dat"])
        self.assertFalse(self.sender.pending(True))
        self.counts.room = 10
        self.stream.room = 0
        self.assertTrue(self.sender.pending(True))
        self.sender.set_urgency(self.stream, 0)
        self.assertFalse(self.sender.pending(True))
        self.stream.room = 9
        self.sender.window_moved(self.stream)
        self.assertEqual([data for _, _, data in self.sent()], [b"a"])
        self.assertEqual((self.sender.waiting, self.counts.room), (0, 9))

    def test_what_waits_is_counted(self) -> None:
        """Data, fields, and what somebody else holds for the stream; what is sent is not."""
        self.sender.block(self.stream, b"head")
        self.sender.data(self.stream, b"data")
        self.sender.hold(self.stream, 100)
        self.assertEqual(self.sender.waiting, 108)
        self.sent()
        self.assertEqual(self.sender.waiting, 100)
        self.sender.hold(self.stream, -100)
        self.sender.end(self.stream, b"trailers")
        self.assertEqual(self.sender.waiting, 8)
        self.sent()
        self.assertEqual(self.sender.waiting, 0)

    def test_crowded(self) -> None:
        self.sender.hold(self.stream, MOST_WAITING)
        self.assertFalse(self.sender.crowded)
        self.sender.block(self.stream, b"h")
        self.assertTrue(self.sender.crowded)

    def test_what_is_forgotten_is_not_counted(self) -> None:
        self.sender.block(self.stream, b"head")
        self.sender.data(self.stream, b"data")
        self.sender.hold(self.stream, 100)
        self.sender.end(self.stream, b"trailers")
        self.sender.forget(self.stream)
        self.assertEqual(self.sender.waiting, 0)
        self.stream.move(StreamState.CLOSED)
        self.sender.hold(self.stream, 100)
        self.assertEqual(self.sender.waiting, 0)

    def test_a_transport_that_is_full(self) -> None:
        """Control frames alone go out."""
        self.sender.block(self.stream, b"h")
        self.assertFalse(self.sender.pending(False))
        self.sender.go_away()
        self.assertTrue(self.sender.pending(False))
        kinds = [kind for kind, _, _ in self.sent(0)]
        self.assertEqual(kinds, [FrameType.GOAWAY, FrameType.PING])
        self.sender.forget(self.stream)
        self.assertFalse(self.sender.pending(True))


class WindowTests(SynchronousTestCase):
    def test_it_opens_by_half(self) -> None:
        """Not for each byte; and who sends more than it takes is told so."""
        window, half = ConnectionWindow(Http2Counts()), CONNECTION_WINDOW // 2
        window.came(CONNECTION_WINDOW)
        taken = (window.taken(half - 1), window.taken(1), window.taken(1))
        self.assertEqual(taken, (0, half, 0))
        window.came(half)
        self.assertRaises(Http2Error, window.came, 1)
