"""Tests of subproxy.frontend.http2.frames."""

from __future__ import annotations

from hyperframe.frame import Frame as OtherFrame
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.http2.frames import (
    FRAME_SIZE,
    PADDED,
    PREFACE,
    ErrorCode,
    Frame,
    FrameReader,
    FrameType,
    Http2Error,
    Http2Setting,
    check_setting,
    without_padding,
    write_frame,
    write_settings,
)

FRAMES = st.lists(
    st.builds(
        Frame,
        st.integers(0, 255),
        st.integers(0, 255),
        st.integers(0, 2**31 - 1),
        st.binary(max_size=50),
    ),
    max_size=5,
)


class ReaderTests(SynchronousTestCase):
    @given(FRAMES, st.lists(st.integers(0, 300), max_size=6))
    def test_any_frames_in_any_pieces(self, frames: list[Frame], cuts: list[int]) -> None:
        """They come out as they went in, however they are cut."""
        data = PREFACE + b"".join([write_frame(*frame) for frame in frames])
        reader, found, at = FrameReader(), [], 0
        for end in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
            found += reader.feed(data[at:end])
            at = end
        self.assertEqual(found, frames)
        self.assertTrue(reader.begun)
        self.assertFalse(reader.partial)

    def test_no_preface(self) -> None:
        """Whatever differs from it is no HTTP/2, at the first byte that differs."""
        for wrong in (
            b"GET / HTTP/1.1\r\n",
            b"PRI * HTTP/1.1",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r",
        ):
            self.assertRaises(Http2Error, FrameReader().feed, wrong)
        reader = FrameReader()
        self.assertEqual(reader.feed(PREFACE[:20]), [])
        self.assertFalse(reader.begun)

    def test_too_large(self) -> None:
        """A frame may have so many bytes, and no more."""
        reader = FrameReader()
        largest = write_frame(0, 0, 1, bytes(FRAME_SIZE))
        self.assertEqual(len(reader.feed(PREFACE + largest)), 1)
        error = self.assertRaises(Http2Error, reader.feed, b"\x00\x40\x01" + bytes(6))
        self.assertEqual(error.code, ErrorCode.FRAME_SIZE_ERROR)


class WriterTests(SynchronousTestCase):
    def test_as_another_reads_it(self) -> None:
        """Heads of frames, and SETTINGS."""
        data = write_settings({Http2Setting.INITIAL_WINDOW_SIZE: 7})
        frame, size = OtherFrame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9:]))
        self.assertEqual((size, frame.settings), (6, {4: 7}))  # type: ignore[attr-defined]
        frame, size = OtherFrame.parse_frame_header(memoryview(write_frame(1, 5, 3, b"abc")[:9]))
        self.assertEqual(
            (frame.stream_id, size, sorted(frame.flags)), (3, 3, ["END_HEADERS", "END_STREAM"])
        )

    def test_padding(self) -> None:
        """It is taken off; more of it than there is payload is an error."""
        self.assertEqual(without_padding(0, b"abc"), b"abc")
        self.assertEqual(without_padding(PADDED, b"\x02abc"[:4]), b"a")
        self.assertEqual(without_padding(PADDED, b"\x00"), b"")
        for wrong in (b"", b"\x01", b"\x04abc"):
            self.assertRaises(Http2Error, without_padding, PADDED, wrong)

    def test_settings(self) -> None:
        """Values that there can't be."""
        for key, value, code in (
            (Http2Setting.ENABLE_PUSH, 2, ErrorCode.PROTOCOL_ERROR),
            (Http2Setting.MAX_FRAME_SIZE, 16383, ErrorCode.PROTOCOL_ERROR),
            (Http2Setting.MAX_FRAME_SIZE, 1 << 24, ErrorCode.PROTOCOL_ERROR),
            (Http2Setting.INITIAL_WINDOW_SIZE, 1 << 31, ErrorCode.FLOW_CONTROL_ERROR),
        ):
            self.assertEqual(self.assertRaises(Http2Error, check_setting, key, value).code, code)
            check_setting(key, 16384 if key == Http2Setting.MAX_FRAME_SIZE else 1)
        check_setting(99, 5)
        self.assertEqual(FrameType.PRIORITY_UPDATE, 16)
