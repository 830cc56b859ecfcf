"""
Where a request body ends: by its length, or by its last chunk.

Sans-I/O. A reader is given what was read from the client, and returns the body bytes
in it and what lies beyond the body.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from subproxy.core.http.fields import FIELD_VALUE, TOKEN
from subproxy.errors import BadRequest, ClientError
from subproxy.frontend.http1.head_parser import Headers, MessageParser, ParserError

_EMPTY_LINE = b"\r\n\r\n"

_BEFORE_TRAILERS = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"

_HEXADECIMAL = b"0123456789ABCDEFabcdef"

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
        body, rest = data[: self._left], data[self._left :]  # no copy of what is all body
        self._left -= len(body)
        return body, rest


_TOKEN = rb"[%b]+" % re.escape(TOKEN)
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_SIZE_LINE = re.compile(
    rb"([0-9A-Fa-f]+)(?:[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?)*\r\n"
    % (_TOKEN, _TOKEN, _QUOTED)
)
"""The line before a chunk. White space around C{;} and C{=} is bad, but allowed (section 7.1.1)."""

_SIZE_DIGITS = 16
"""Hexadecimal digits of the largest size, without zeros in front."""


_FEW_DIGITS = 6

_MOST_CHUNKS = 2048
"""Small chunks that are read at once: each takes up to a microsecond, however little it holds."""

_MAX_REMEMBERED = 1024

_SIZES: dict[bytes, int] = {}
"""Sizes of small chunks by how they were spelled: read once, they are known to be numbers."""


class _Part(Enum):
    """What of a chunked body comes next."""

    SIZE = auto()
    """The line before a chunk."""
    DATA = auto()
    """Bytes of a chunk."""
    END = auto()
    """The line end behind them."""
    TRAILERS = auto()
    """What stands behind the last chunk: fields, if any, and an empty line."""


class ChunkedBody:
    """
    A chunked body (RFC 9112 section 7.1). Chunk extensions are dropped.

    The parser of the head has no part in it: whatever the head made of that parser, an
    C{Upgrade} above all, no byte of a body reaches it, nor is ever parsed as a request.

    @param limit: most body bytes; 0 for no limit.
    @param overhead: most bytes of chunk extensions and trailers.
    @ivar complete: all of it was read.
    @ivar trailers: the trailer fields, when it is complete.
    """

    __slots__ = (
        "_framing",
        "_held",
        "_left",
        "_limit",
        "_overhead",
        "_part",
        "_size",
        "_trailers",
        "complete",
        "trailers",
    )

    left = 0
    """Nobody knows how much is to come."""

    def __init__(self, limit: int, overhead: int) -> None:
        self._limit = limit
        self._overhead = overhead
        self._part = _Part.SIZE
        self._held = b""  # of a line that is not whole; of trailers the last three bytes
        self._left = 0  # of the chunk
        self._size = 0  # of all chunks so far
        # Bytes that were no data, less what each chunk may have: the last one, at least, will come.
        self._framing = -_CHUNK_FRAMING
        self._trailers: MessageParser | None = None
        self.complete = False
        self.trailers: Headers = []

    def skip(self, amount: int) -> None:
        """
        Never called: nobody else can tell where it ends.

        @raise AssertionError: always.
        """
        raise AssertionError(f"{amount} bytes of a chunked body went past its reader")

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """
        Read C{data}; of very many small chunks, only some.

        @return: body bytes, and what lies beyond the body; or, if the body is not complete, what
            is to be fed again in a later turn of the reactor.
        @raise ClientError: it is malformed or too large.
        """
        taken: list[bytes] = []
        size = len(data)
        at = 0
        while at < size and not self.complete:
            part = self._part
            if part is _Part.DATA:
                piece = data[at : at + self._left]
                taken.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._part = _Part.END
                continue
            begin = at
            if part is _Part.SIZE:
                if not self._held:
                    at = begin = self._read_small(data, at, taken)
                    if len(taken) >= _MOST_CHUNKS:
                        break
                at = self._read_size(data, at)
            elif part is _Part.END:
                at = self._read_end(data, at)
            else:
                at = self._read_trailers(data, at)
            self._framing += at - begin
            if self._framing > self._overhead:
                raise _too_much()
        return _joined(taken), data[at:]

    def _read_small(self, data: bytes, at: int, taken: list[bytes]) -> int:
        """
        Read chunks that are here whole; returns where they end.

        Not a rule of its own, but what the other methods do, at a fraction of the time a chunk:
        there may be ten thousand of them in a read.
        """
        begin = at
        before = len(taken)
        room = self._limit - self._size if self._limit else len(data)
        while len(taken) < _MOST_CHUNKS:
            line = data.find(b"\r\n", at)
            if line < 0:
                break
            length = _SIZES.get(data[at:line])
            if length is None:
                match = _SIZE_LINE.match(data, at)
                if match is None:
                    break
                digits = match[1]
                line = match.end() - 2
                if len(digits) > _FEW_DIGITS:
                    digits = digits.lstrip(b"0")
                length = int(digits or b"0", 16) if len(digits) <= _FEW_DIGITS else 0
                if length == 0:
                    break
                if len(_SIZES) >= _MAX_REMEMBERED:
                    _SIZES.clear()
                _SIZES[digits] = length
            first = line + 2
            last = first + length
            if data[last : last + 2] != b"\r\n" or length > room:
                break
            room -= length
            taken.append(data[first:last])
            at = last + 2
        sizes = sum(map(len, taken[before:]))
        self._size += sizes
        self._framing += at - begin - sizes - _CHUNK_FRAMING * (len(taken) - before)
        return at

    def _read_size(self, data: bytes, at: int) -> int:
        """Read the line before a chunk, or what is here of it; returns where that ends."""
        line = None if self._held else _SIZE_LINE.match(data, at)
        if line is None:
            end = data.find(b"\n", at) + 1 or len(data)
            piece = data[at:end]
            if self._held[-1:] == b"\r" and piece[:1] != b"\n":
                raise _malformed()
            self._held += piece
            if piece[-1:] != b"\n":
                if (piece[:-1] if piece[-1:] == b"\r" else piece).translate(None, FIELD_VALUE):
                    raise _malformed()
                if self._held[:1].translate(None, _HEXADECIMAL):
                    raise _malformed()
                return end
            line = _SIZE_LINE.fullmatch(self._held)
            if line is None:
                raise _malformed()
            self._held = b""
        else:
            end = line.end()
        digits = line[1].lstrip(b"0")
        if len(digits) > _SIZE_DIGITS:
            raise _malformed()
        self._left = int(digits or b"0", 16)
        self._size += self._left
        if self._left == 0:
            self._part = _Part.TRAILERS
            self._held = b"\r\n"
        elif self._limit and self._size > self._limit:
            raise ClientError("the request body is too large", 413)
        else:
            self._part = _Part.DATA
            self._framing -= _CHUNK_FRAMING
        return end

    def _read_end(self, data: bytes, at: int) -> int:
        """Read the line end behind a chunk."""
        end = at + 2 - len(self._held)
        self._held += data[at:end]
        if self._held == b"\r\n":
            self._held = b""
            self._part = _Part.SIZE
        elif self._held != b"\r":
            raise _malformed()
        return min(end, len(data))

    def _read_trailers(self, data: bytes, at: int) -> int:
        """
        Read trailers, if any, and the empty line behind them.

        They can end only behind an empty line, so llhttp is fed up to that and never sees what
        lies beyond.
        """
        parser = self._trailers
        if parser is None:
            if data.startswith(b"\r\n", at):
                self.complete = True
                return at + 2
            parser = self._trailers = MessageParser()
            parser.feed(_BEFORE_TRAILERS)
            parser.take_fields()
        known = len(self._held)
        text = self._held + data[at : at + _SLICE]
        found = text.find(_EMPTY_LINE)
        if found >= 0:
            text = text[: found + 4]
        end = at + len(text) - known
        try:
            parser.feed(text[known:])
        except ParserError:
            raise _malformed() from None
        self._held = text[-3:]
        if parser.complete:
            self.complete = True
            self.trailers = parser.take_fields()
        return end


def _too_much() -> BadRequest:
    return BadRequest("too many chunk extensions or trailers")


def _malformed() -> BadRequest:
    return BadRequest("the chunked body is malformed")


def _joined(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def framing_of(length: int | None, most: int, overhead: int) -> LengthBody | ChunkedBody:
    """
    How a request body is framed.

    @param length: its Content-Length; None if it is chunked.
    @param most: bytes that it may have; 0: no limit. A length has been compared with it.
    @param overhead: bytes of chunk extensions and trailers.
    """
    return ChunkedBody(most, overhead) if length is None else LengthBody(length)
