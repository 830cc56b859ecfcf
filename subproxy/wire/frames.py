"""
Frames: one tnetstring list each (docs/protocol.md, "Frames").

Bytes in, lists out; and back. Nothing is allocated from a claimed length: a frame is
collected as its bytes come, and refused as soon as its length is known to be too large.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tnetstring

from subproxy.wire.errors import FrameError
from subproxy.wire.limits import MAX_DEPTH, MAX_LENGTH_DIGITS

Value = Any
Frame = list[Any]

encode: Callable[[Frame], bytes] = tnetstring.dumps
"""A list as one frame."""

_LIST_END = 0x5D
_ZERO = 0x30


def depth_of(value: Value, allowed: int = MAX_DEPTH) -> int:
    """
    How deep C{value} nests; at most C{allowed} + 1, since it looks no further.

    @return: 0 for a scalar, 1 for a flat list or dictionary.
    """
    if type(value) is list:
        parts: list[Value] = value
    elif type(value) is dict:
        parts = list(value.values())
    else:
        return 0
    if allowed <= 0:
        return 1
    deepest = 0
    for part in parts:
        if type(part) is list or type(part) is dict:
            deepest = max(deepest, depth_of(part, allowed - 1))
    return deepest + 1


def decode(data: bytes) -> Frame:
    """
    One whole frame, with its length prefix, as a list.

    @raise FrameError: it is not a tnetstring list within the depth limit.
    """
    try:
        value = tnetstring.loads(data)
    except (ValueError, RecursionError) as error:
        raise FrameError(str(error)) from None
    if type(value) is not list:
        raise FrameError("a frame is a list")
    if depth_of(value) > MAX_DEPTH:
        raise FrameError(f"nested deeper than {MAX_DEPTH}")
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
        self._more: list[bytes] = []
        self._size = 0
        self._wanted = 1

    def __repr__(self) -> str:
        return f"<FrameDecoder {self._size} bytes held>"

    @property
    def pending(self) -> int:
        """How many bytes are held."""
        return self._size

    def feed(self, data: bytes) -> None:
        """Take C{data}; L{next} returns what it completes."""
        if self._start < len(self._data):
            self._more.append(data)
        else:
            self._data = data
            self._start = 0
        self._size += len(data)

    def next(self) -> Frame | None:
        """
        The next complete frame, or None.

        @raise FrameError: what came is no frame; the decoder is of no further use.
        """
        if self._size < self._wanted:
            return None
        start = self._start
        colon = self._colon(start)
        if colon < 0 and self._more:
            self._join()
            start = 0
            colon = self._colon(0)
        if colon < 0:
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
        self._size -= end - start
        self._wanted = 1
        self._start = end
        if end == len(data):
            self._data, self._start = b"", 0
            if self._more:
                self._join()
        return frame

    def take_rest(self) -> bytes:
        """All that is held, as raw bytes; the decoder is empty after it."""
        self._join()
        rest, self._data = self._data, b""
        self._size, self._wanted = 0, 1
        return rest

    def _join(self) -> None:
        self._data = b"".join((self._data[self._start :], *self._more))
        self._start = 0
        self._more.clear()

    def _colon(self, start: int) -> int:
        """Where the length that begins at C{start} ends, or -1 if it is not all there."""
        data = self._data
        colon = data.find(b":", start, start + MAX_LENGTH_DIGITS + 1)
        prefix = data[start : colon if colon >= 0 else start + MAX_LENGTH_DIGITS + 1]
        if colon == start or (prefix and not prefix.isdigit()):
            raise FrameError("a frame begins with its length in decimal digits")
        if len(prefix) > MAX_LENGTH_DIGITS:
            raise FrameError(f"a length has at most {MAX_LENGTH_DIGITS} digits")
        if len(prefix) > 1 and prefix[0] == _ZERO:
            raise FrameError("a length has no leading zeros")
        return colon
