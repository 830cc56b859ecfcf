"""
Where a request body ends: by its length, or by its last chunk.

Sans-I/O. A reader is given what was read from the client, and returns the body bytes
in it and what lies beyond the body.
"""

from __future__ import annotations

from subproxy.errors import BadRequest, ClientError
from subproxy.frontend.head_parser import Headers, MessageParser, ParserError

_EMPTY_LINE = b"\r\n\r\n"

_SLICE = 16384
"""Bytes that are parsed between two looks at the limits."""

_CHUNK_FRAMING = 24
"""Bytes of framing that every chunk may have: size in hexadecimal, and two line ends."""


class LengthBody:
    """
    A body of known length.

    @ivar trailers: always empty.
    """

    __slots__ = ("_left",)

    trailers: Headers = []

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def complete(self) -> bool:
        """Whether all of it was read."""
        return self._left == 0

    @property
    def left(self) -> int:
        """Bytes that are still to come."""
        return self._left

    def skip(self, amount: int) -> None:
        """So many bytes were read by somebody else."""
        self._left -= amount

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """
        Read C{data}.

        @return: body bytes, and what lies beyond the body.
        """
        size = len(data)
        if size <= self._left:
            self._left -= size
            return data, b""
        body, rest = data[: self._left], data[self._left :]
        self._left = 0
        return body, rest


class ChunkedBody:
    """
    A chunked body (RFC 9112 section 7.1). Chunk extensions are dropped.

    A chunked body can end only behind an empty line, so llhttp is fed from one
    empty line to the next and never sees what lies beyond.

    @param parser: the parser that parsed the head.
    @param limit: most body bytes; 0 for no limit.
    @param overhead: most bytes of chunk extensions and trailers.
    @ivar complete: all of it was read.
    @ivar trailers: the trailer fields, when it is complete.
    """

    __slots__ = ("_fed", "_limit", "_overhead", "_parser", "_size", "_tail", "complete", "trailers")

    def __init__(self, parser: MessageParser, limit: int, overhead: int) -> None:
        self._parser = parser
        self._limit = limit
        self._overhead = overhead
        self._fed = 0
        self._size = 0
        self._tail = b""
        self.complete = False
        self.trailers: Headers = []

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """
        Read C{data}.

        @return: body bytes, and what lies beyond the body.
        @raise ClientError: it is malformed or too large.
        """
        parser = self._parser
        view = memoryview(data)
        size = len(data)
        taken: list[bytes] = []
        at = 0
        while at < size:
            end = self._next_stop(data, at)
            try:
                parser.feed(view[at:end])
            except ParserError:
                raise BadRequest("the chunked body is malformed") from None
            self._fed += end - at
            at = end
            pieces = parser.pieces
            if pieces:
                self._size += sum(map(len, pieces))
                taken += pieces
                pieces.clear()
            if self._limit and self._size > self._limit:
                raise ClientError("the request body is too large", 413)
            if self._fed - self._size - _CHUNK_FRAMING * parser.chunks > self._overhead:
                raise BadRequest("too many chunk extensions or trailers")
            if parser.complete:
                self.complete = True
                self.trailers = parser.take_fields()
                return _joined(taken), data[at:]
        self._tail = data[-3:] if size > 2 else (self._tail + data)[-3:]
        return _joined(taken), b""

    def _next_stop(self, data: bytes, at: int) -> int:
        """Behind the next empty line, which may have begun in what was fed before."""
        limit = min(len(data), at + _SLICE)
        if at < 3 and self._tail:
            known = len(self._tail)
            found = (self._tail + data[:3]).find(_EMPTY_LINE, max(0, known + at - 3))
            if found >= 0:
                return found + 4 - known
        found = data.find(_EMPTY_LINE, max(0, at - 3), limit)
        return limit if found < 0 else found + 4


def _joined(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
