"""
What a hostile client of HTTP/2 sends, one way of it each: pieces of bytes, behind its greeting.

Each is endless, and its pieces are small: a few times what a guard allows of a kind. A test sends
as much of it as shows what becomes of it, and L{tests.integration.beside_http2} as much as fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

from subproxy.frontend.http2.flood import Flood
from subproxy.frontend.http2.frames import (
    END_HEADERS,
    END_STREAM,
    PREFACE,
    FrameType,
    write_frame,
    write_settings,
)
from subproxy.frontend.http2.hpack import encode_fields, put_integer
from subproxy.frontend.limits import HttpLimits
from tests.rigs.examples import examples
from tests.rigs.http2_client import GET, POST

WHOLE = END_STREAM | END_HEADERS
REQUEST = encode_fields(GET)
UPLOAD = encode_fields(POST)

Pieces = Iterator[bytes]

MANY_FIELDS = 3 * HttpLimits().fields
MOST_FIELDS = examples(12_000)
"""As many as a frame of the usual size has room for, beside an entry that they name."""


def numbers() -> Iterator[int]:
    """Of the streams that a client opens."""
    return count(1, 2)


def request(number: int, block: bytes = REQUEST, flags: int = WHOLE) -> bytes:
    """HEADERS."""
    return write_frame(FrameType.HEADERS, flags, number, block)


def rapid_reset() -> Pieces:
    """Requests that are reset at once."""
    for number in numbers():
        yield request(number) + write_frame(FrameType.RST_STREAM, 0, number, b"\0\0\0\x08")


def made_you_reset() -> Pieces:
    """A window that opens by nothing resets the stream."""
    for number in numbers():
        yield request(number) + write_frame(FrameType.WINDOW_UPDATE, 0, number, bytes(4))


def overflowed_windows() -> Pieces:
    """Likewise, by a window that is too large."""
    for number in numbers():
        yield request(number) + write_frame(FrameType.WINDOW_UPDATE, 0, number, b"\x7f\xff\xff\xff")


def dependent_streams() -> Pieces:
    """Likewise, by a stream that depends on itself."""
    for number in numbers():
        priority = number.to_bytes(4, "big") + b"\0"
        yield request(number) + write_frame(FrameType.PRIORITY, 0, number, priority)


def data_behind_the_end() -> Pieces:
    """Likewise, by data behind the end of a request."""
    for number in numbers():
        yield request(number) + write_frame(FrameType.DATA, 0, number, b"x")


def smuggled_fields() -> Pieces:
    """Likewise, by requests that are malformed."""
    block = encode_fields([*GET, (b"x", b"a\r\nb: c")])
    for number in numbers():
        yield request(number, block)


def refused_streams() -> Pieces:
    """More streams than there may be at a time: uploads that never end."""
    for number in numbers():
        yield request(number, UPLOAD, END_HEADERS)


def field_bomb() -> Pieces:
    """More fields than there may be, by an entry of the table that is named in a byte each."""
    entry = b"\x40\x01a" + put_integer(7, 0, 100) + b"v" * 100
    block = REQUEST + entry + b"\xbe" * MANY_FIELDS
    for number in numbers():
        yield request(number, block)


def crumb_bomb() -> Pieces:
    """Likewise, pieces of Cookie: each is empty, and in the static table but for that."""
    block = REQUEST + b"\x60\x00" + b"\xbe" * MANY_FIELDS
    for number in numbers():
        yield request(number, block)


def largest_field_bomb() -> Pieces:
    """As many fields as a frame can name, of an entry as large as the table."""
    entry = b"\x40\x01a" + put_integer(7, 0, 3_900) + b"v" * 3_900
    block = REQUEST + entry + b"\xbe" * MOST_FIELDS
    for number in numbers():
        yield request(number, block)


def largest_crumb_bomb() -> Pieces:
    """Likewise, pieces of Cookie."""
    block = REQUEST + b"\x60\x00" + b"\xbe" * (MOST_FIELDS + 4_000)
    for number in numbers():
        yield request(number, block)


def larger_lists() -> Pieces:
    """Lists that are larger than announced, spelled out."""
    block = REQUEST + encode_fields([(b"x-%d" % each, b"v" * 4_000) for each in range(9)])
    for number in numbers():
        yield (
            request(number, block[:16_000], END_STREAM)
            + write_frame(FrameType.CONTINUATION, 0, number, block[16_000:32_000])
            + write_frame(FrameType.CONTINUATION, END_HEADERS, number, block[32_000:])
        )


def empty_continuations() -> Pieces:
    """Fields that never end."""
    yield request(1, REQUEST, 0)
    while True:
        yield write_frame(FrameType.CONTINUATION, 0, 1)


def large_continuations() -> Pieces:
    """Likewise, as large as frames may be."""
    yield request(1, REQUEST, 0)
    while True:
        yield write_frame(FrameType.CONTINUATION, 0, 1, b"\x82" * 16_384)


def resized_tables() -> Pieces:
    """HPACK's state: a table that changes its size again and again before each request."""
    block = b"\x20\x3f\xe1\x1f" * 40 + REQUEST
    for number in numbers():
        yield request(number, block) + write_frame(FrameType.RST_STREAM, 0, number, bytes(4))


def churned_tables() -> Pieces:
    """HPACK's state: entries that push each other out, as many as fit."""
    block = REQUEST + b"".join([b"\x40\x01%c\x01v" % (97 + each % 26) for each in range(90)])
    for number in numbers():
        yield request(number, block) + write_frame(FrameType.RST_STREAM, 0, number, bytes(4))


def broken_blocks() -> Pieces:
    """HPACK's state: a name that is in no table."""
    yield request(1, b"\xff\xff\x7f")


def settings() -> Pieces:
    """Each wants an answer."""
    while True:
        yield write_settings({4: 65_535})  # type: ignore[dict-item]


def many_settings() -> Pieces:
    """More entries than there are settings."""
    yield write_frame(FrameType.SETTINGS, 0, 0, b"\0\x03\0\0\0\x64" * 100)


def pings() -> Pieces:
    """Each wants an answer."""
    while True:
        yield write_frame(FrameType.PING, 0, 0, bytes(8))


def priorities() -> Pieces:
    """Trees that are built anew."""
    for number in numbers():
        yield write_frame(FrameType.PRIORITY, 0, number, bytes(5))


def priority_updates() -> Pieces:
    """Likewise, in the words of RFC 9218."""
    yield request(1)
    while True:
        for urgency in b"0", b"7":
            yield write_frame(FrameType.PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=" + urgency)


def empty_data() -> Pieces:
    """Frames that say nothing."""
    yield request(1, UPLOAD, END_HEADERS)
    while True:
        yield write_frame(FrameType.DATA, 0, 1)


def unknown_frames() -> Pieces:
    """Likewise, of a kind that nobody knows."""
    while True:
        yield write_frame(0xBB, 0, 0)


def many_streams() -> Pieces:
    """As many streams as there may be, none of which takes anything: see L{STALLED}."""
    for number, _ in zip(numbers(), range(100), strict=False):
        yield request(number)
    while True:
        yield b""


def small_windows() -> Pieces:
    """Windows that open by a byte: no abuse by itself, it only costs."""
    yield request(1)
    while True:
        yield write_frame(FrameType.WINDOW_UPDATE, 0, 0, b"\0\0\0\1")


def large_frames() -> Pieces:
    """Frames that are larger than they may be."""
    yield (1 << 20).to_bytes(3, "big") + b"\0\0\0\0\0\1"


class Attack(NamedTuple):
    """
    One of them.

    @ivar pieces: what is sent.
    @ivar flood: what it is counted as; None: it is an error, or no abuse at all.
    @ivar settings: what the client says of itself.
    """

    pieces: Callable[[], Pieces]
    flood: Flood | None
    settings: dict[int, int] = {}

    @property
    def greeting(self) -> bytes:
        """What a client says first."""
        return PREFACE + write_settings(self.settings)  # type: ignore[arg-type]


NO_WINDOW = {4: 0}

FLOODS: dict[str, Attack] = {
    "rapid reset": Attack(rapid_reset, Flood.RESET),
    "made you reset": Attack(made_you_reset, Flood.RESET),
    "overflowed windows": Attack(overflowed_windows, Flood.RESET),
    "dependent streams": Attack(dependent_streams, Flood.PRIORITY),
    "data behind the end": Attack(data_behind_the_end, Flood.RESET),
    "smuggled fields": Attack(smuggled_fields, Flood.RESET),
    "refused streams": Attack(refused_streams, Flood.RESET),
    "field bomb": Attack(field_bomb, Flood.FIELDS),
    "crumb bomb": Attack(crumb_bomb, Flood.FIELDS),
    "largest field bomb": Attack(largest_field_bomb, Flood.FIELDS),
    "largest crumb bomb": Attack(largest_crumb_bomb, Flood.FIELDS),
    "larger lists": Attack(larger_lists, Flood.FIELDS),
    "empty CONTINUATION": Attack(empty_continuations, Flood.CONTINUATION),
    "large CONTINUATION": Attack(large_continuations, Flood.CONTINUATION),
    "resized tables": Attack(resized_tables, Flood.RESET),
    "churned tables": Attack(churned_tables, Flood.RESET),
    "SETTINGS": Attack(settings, Flood.SETTINGS),
    "PING": Attack(pings, Flood.PING),
    "PRIORITY": Attack(priorities, Flood.PRIORITY),
    "PRIORITY_UPDATE": Attack(priority_updates, Flood.PRIORITY),
    "empty DATA": Attack(empty_data, Flood.EMPTY),
    "unknown frames": Attack(unknown_frames, Flood.EMPTY),
}
"""What is allowed so often, and then ends the connection."""

ERRORS: dict[str, Attack] = {
    "broken blocks": Attack(broken_blocks, None),
    "many settings": Attack(many_settings, None),
    "large frames": Attack(large_frames, None),
}
"""What ends it at once."""

STALLED = Attack(many_streams, Flood.STALLED, NO_WINDOW)
"""What is given up when it has taken too long."""

COSTLY: dict[str, Attack] = {
    "stalled windows": STALLED,
    "small windows": Attack(small_windows, None),
}
"""What ends no connection, or not soon."""
