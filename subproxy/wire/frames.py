"""
Frames: one tnetstring list each (docs/protocol.md, "Frames").

Bytes in, lists out; and back. Nothing is allocated from a claimed length: a frame is
collected as its bytes come, and refused as soon as its length is known to be too large.

A value has exactly one encoding. C{tnetstring} reads more than that (C{+1}, C{01}, a key
twice, floats), so what it read is looked at again, and compared by its canonical length.

Compiled a second time: L{subproxy.fastpath._request_frame} and L{subproxy.fastpath._response}
(see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import tnetstring

from subproxy.wire.elements import check_elements
from subproxy.wire.errors import FrameError
from subproxy.wire.limits import MAX_DEPTH, MAX_LENGTH_DIGITS, MAX_NUMBER

Value = Any
Frame = list[Any]
Piece = bytes | memoryview

encode: Callable[[Frame], bytes] = tnetstring.dumps
"""A list as one frame."""

_LIST_END = 0x5D
_ZERO = 0x30
_LONG = 512
"""Byte strings from this length on are not handed to the encoder, which copies them often."""
_SMALL_READ = 1024
"""Reads shorter than this are collected in one buffer: an object for each would cost more."""


def check_values(values: Iterable[Value], levels: int = MAX_DEPTH - 1) -> None:
    """
    See that C{values} are only what frames may hold, with at most C{levels} levels inside.

    @raise FrameError: a float, an integer out of range, a key that is no byte string, or
        too deep.
    """
    for value in values:
        kind = type(value)
        if kind is bytes:
            continue
        if kind is list:
            if levels <= 0:
                raise FrameError(f"nested deeper than {MAX_DEPTH}")
            # A header field, and so most of what a frame has: not worth a call.
            if len(value) != 2 or type(value[0]) is not bytes or type(value[1]) is not bytes:
                check_values(value, levels - 1)
        elif kind is dict:
            if levels <= 0:
                raise FrameError(f"nested deeper than {MAX_DEPTH}")
            for key in value:
                if type(key) is not bytes:
                    raise FrameError("the keys of a dictionary are byte strings")
            check_values(value.values(), levels - 1)
        elif kind is int:
            if not -MAX_NUMBER <= value <= MAX_NUMBER:
                raise FrameError("an integer is out of range")
        elif kind is float:
            raise FrameError("floats are not used")


def encoded_pieces(frame: list[Any]) -> list[Piece]:
    """
    The bytes of C{frame}, in pieces; a long last element (a body) is one, and not copied.

    That element may be a L{memoryview}.
    """
    last = frame[-1]
    kind = type(last)
    if kind is not memoryview and (kind is not bytes or len(last) < _LONG):
        return [encode(frame)]
    head = encode(frame[:-1])
    payload = head[head.index(b":") + 1 : -1]
    size = len(last)
    begin = b"%d:" % size
    total = len(payload) + len(begin) + size + 1
    return [b"%d:%b%b" % (total, payload, begin), last, b",]"]


def encoded_size(frame: Frame) -> int:
    """Length of the encoded C{frame}, in bytes."""
    if not frame or type(frame[-1]) is not bytes or len(frame[-1]) < _LONG:
        return len(encode(frame))
    return sum(map(len, encoded_pieces(frame)))


def decode(data: bytes) -> Frame:
    """
    One whole frame, with its length prefix, as a list.

    @raise FrameError: it is not the one encoding of a list within the limits.
    """
    check_elements(data, data.find(b":", 0, MAX_LENGTH_DIGITS + 1) + 1, len(data) - 1)
    try:
        value = tnetstring.loads(data)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        # TypeError: a list as a key. OverflowError: tnetstring 0.4 fails to quote a byte
        # above 127 in its own message about an integer.
        raise FrameError(str(error)) from None
    if type(value) is not list:
        raise FrameError("a frame is a list")
    check_values(value)
    if encoded_size(value) != len(data):
        raise FrameError("an integer is not in its shortest form, or a key comes twice")
    return value


class FrameDecoder:
    """
    Cuts a stream of bytes into frames, one at a time, so that its user can stop between two.

    @ivar limit: the longest payload accepted, in bytes.
    """

    __slots__ = ("_data", "_more", "_size", "_start", "_wanted", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._data = b""
        self._start = 0
        self._more: list[bytes | bytearray] = []
        self._size = 0
        self._wanted = 1

    def __repr__(self) -> str:
        return f"<FrameDecoder {self._size} bytes held>"

    @property
    def pending(self) -> int:
        """Bytes that are held."""
        return self._size

    def feed(self, data: bytes) -> None:
        """Take C{data}; L{next} returns what it completes."""
        size = len(data)
        self._size += size
        if not self._data:
            self._data = data
        elif size >= _SMALL_READ:
            self._more.append(data)
        elif self._more and type(self._more[-1]) is bytearray:
            self._more[-1] += data
        else:
            self._more.append(bytearray(data))

    def next(self) -> Frame | None:
        """
        The next complete frame, or None.

        @raise FrameError: what came is no frame; the decoder is of no further use.
        """
        if self._size < self._wanted:
            return None
        start = self._start
        colon = self._colon(start)
        if colon is None and self._more:
            self._join()
            start = 0
            colon = self._colon(0)
        if colon is None:
            self._wanted = self._size + 1
            return None
        length = int(self._data[start:colon])
        if length > self.limit:
            raise FrameError(f"a frame of {length} bytes, where {self.limit} are allowed")
        end = colon + length + 2
        if end - start > self._size:
            self._wanted = end - start
            return None
        if end > len(self._data):
            self._join()
            end -= start
            start = 0
        data = self._data
        if data[end - 1] != _LIST_END:
            raise FrameError("a frame ends with ']'")
        frame = decode(data[start:end])
        self.skip(end)
        return frame

    # A frame that begins with a known verb may be looked at in place (subproxy.wire.whole).

    @property
    def held(self) -> bytes:
        """The piece in which the next frame begins; L{next_span} says where."""
        return self._data

    def next_span(self, verb: bytes) -> tuple[int, int] | None:
        """
        From where to where the next frame is in L{held}, if it is whole there.

        @param verb: the element with which it must begin.
        """
        data, start = self._data, self._start
        digits, _, _ = data[start : start + MAX_LENGTH_DIGITS + 1].partition(b":")
        first = start + len(digits) + 1
        if not data.startswith(verb, first) or not digits.isdigit() or data[start] == _ZERO:
            return None
        end = first + int(digits) + 1
        return None if end > len(data) or int(digits) > self.limit else (start, end)

    def skip(self, end: int) -> None:
        """The frame that ends at C{end} of L{held} has been taken."""
        self._size -= end - self._start
        self._wanted = 1
        self._start = end
        if end == len(self._data):
            self._data, self._start = b"", 0
            if self._more:
                self._join()

    def take_rest(self) -> bytes:
        """All that is held, as raw bytes; the decoder is empty after it."""
        self._join()
        rest, self._data = self._data, b""
        self._size, self._wanted = 0, 1
        return rest

    def clear(self) -> None:
        """Forget all that is held."""
        self._data, self._start = b"", 0
        self._more.clear()
        self._size, self._wanted = 0, 1

    def _join(self) -> None:
        self._data = b"".join((self._data[self._start :], *self._more))
        self._start = 0
        self._more.clear()

    def _colon(self, start: int) -> int | None:
        """Where the length that begins at C{start} ends; None if it is not all there."""
        digits, colon, _ = self._data[start : start + MAX_LENGTH_DIGITS + 1].partition(b":")
        size = len(digits)
        wrong = size > MAX_LENGTH_DIGITS or (size > 1 and digits[0] == _ZERO)
        if wrong or not digits.isdigit():
            raise FrameError("a frame begins with its length: digits, 7 at most, no leading zero")
        return start + size if colon else None


def framed_size(payload: int) -> int:
    """How many bytes a frame with a payload of so many has."""
    return payload + len(str(payload)) + 2
