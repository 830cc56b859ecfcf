"""Frames of HTTP/2 that are nearly right, very many a second."""

from __future__ import annotations

from random import Random

from subproxy.frontend.http2.frames import FrameType, write_frame, write_settings
from subproxy.frontend.http2.hpack import encode_fields
from tests.fastpath.test_http2_differential import request
from tests.fuzz.mutator import Mutator
from tests.rigs.hpack_blocks import some_blocks


class Frames:
    """
    Frames of one client of HTTP/2 after the other: most are right, so that a connection lives for
    a while, some of what they hold is not, and one in 64 is changed anywhere.
    """

    def __init__(self, chosen: Random) -> None:
        self._bits = chosen.getrandbits
        text = Mutator(chosen, [b"a.example", b"/a?b=c", b"text/plain", b"cookie", b"100-continue"])
        self._plain = [encode_fields(request(Random(3)))]
        self._requests = [encode_fields(request(chosen)) for _ in range(1000)]
        for _ in range(1000):
            fields = [
                (name, value if chosen.getrandbits(3) else text())
                for name, value in request(chosen)
            ]
            self._requests.append(encode_fields(fields))
        self._odd = Mutator(
            chosen, [*self._requests, *(block for _ in range(60) for block in some_blocks(chosen))]
        )
        self.number = 1

    def next(self) -> tuple[bytes, int]:
        """One frame or two, and how many."""
        draw = self._bits(64)
        if not draw & 63:
            return self._changed(draw >> 6), 1
        kind, draw = draw >> 6 & 15, draw >> 10
        if kind < 10:
            return self._request(draw)
        before = max(1, self.number - 2 * (1 + (draw & 7)))
        draw >>= 3
        if kind == 10:
            size = (1 + (draw & 31)).to_bytes(4, "big")
            return write_frame(FrameType.WINDOW_UPDATE, 0, before if draw & 32 else 0, size), 1
        if kind == 11:
            return write_frame(FrameType.RST_STREAM, 0, before, b"\0\0\0\x08"), 1
        if kind == 12:
            priority = (draw & 0xFF).to_bytes(5, "big")
            return write_frame(FrameType.PRIORITY, 0, self.number + 2, priority), 1
        if kind == 13:
            setting = (0, 1, 3, 4, 9)[draw % 5]
            value = draw >> 8 & 0xFFFF
            return write_settings({setting: value}), 1  # type: ignore[dict-item]
        if kind == 14:
            return write_frame(FrameType.PING, draw & 1, 0, bytes(8)), 1
        said = b"u=%d, i" % (draw & 7)
        update = before.to_bytes(4, "big") + said
        return write_frame((16, 99)[draw >> 3 & 1], 0, 0, update), 1

    def _request(self, draw: int) -> tuple[bytes, int]:
        """A request alone, or with its body behind it, which may be cut off by the next one."""
        number, self.number = self.number, self.number + 2
        block = self._plain[0] if draw & 7 else self._requests[(draw >> 2) % len(self._requests)]
        draw >>= 16
        if draw & 3:
            return write_frame(FrameType.HEADERS, 5, number, block), 1
        body = bytes(draw >> 2 & 0x1FF)
        flags = 8 if draw >> 11 & 7 == 0 else 0
        if flags:
            body = b"\3" + body + b"\0\0\0"
        data = write_frame(FrameType.DATA, flags | (draw >> 14 & 3 > 0), number, body)
        if draw >> 16 & 7:
            return write_frame(FrameType.HEADERS, 4, number, block) + data, 2
        at = (draw >> 19) % (len(block) + 1)
        pieces = write_frame(FrameType.HEADERS, 0, number, block[:at])
        return pieces + write_frame(FrameType.CONTINUATION, 4, number, block[at:]) + data, 3

    def _changed(self, draw: int) -> bytes:
        """Anything."""
        number, self.number = self.number, self.number + 2
        payload = self._odd()
        if draw & 1:
            return write_frame(FrameType.HEADERS, 5, number, payload)
        kinds = (0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 16, 99)
        flags = (0, 1, 4, 5, 8, 9, 13, 32, 37, 255)
        number = (0, 1, max(0, number - 2), number)[draw >> 1 & 3]
        if draw & 8:
            payload = payload[: (0, 4, 5, 6, 8)[(draw >> 4) % 5]]
        frame = write_frame(
            kinds[(draw >> 7) % len(kinds)], flags[(draw >> 12) % len(flags)], number, payload
        )
        at = (draw >> 20) % len(frame)
        return frame if draw & 16 else frame[:at] + bytes((draw >> 40 & 255,)) + frame[at + 1 :]
