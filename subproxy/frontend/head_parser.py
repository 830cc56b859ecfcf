"""
llhttp, fed one whole request head at a time.

What llhttp's strict mode refuses is refused here: bare LF, lone CR, folded lines, white
space before a colon, bad names, control characters, Content-Length beside
Transfer-Encoding, a second Content-Length, and whatever is no chunked body. What it lets
pass is the gate's part. A parser lives from the last byte of a head to the last byte of a
chunked body, so that an idle connection has none, and is never fed beyond the end of
its message: no request can be read with the framing of another.

It is strict by default; C{set_dangerous_leniencies} must never be called.
"""

from __future__ import annotations

import httptools

from subproxy.errors import BadRequest

Headers = list[tuple[bytes, bytes]]

ParserError = httptools.HttpParserError
"""What C{feed} raises; the parser is dead after it."""


class _Collector:
    """What llhttp calls."""

    __slots__ = ("chunks", "complete", "fields", "pieces")

    def __init__(self) -> None:
        self.fields: Headers = []
        self.pieces: list[bytes] = []
        self.chunks = 0
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        # llhttp leaves white space behind a value.
        if value[-1:] in _BLANK:
            value = value.rstrip(b" \t")
        self.fields.append((name, value))

    def on_body(self, data: bytes) -> None:
        self.pieces.append(data)

    def on_chunk_header(self) -> None:
        self.chunks += 1

    def on_message_complete(self) -> None:
        self.complete = True


_BLANK = (b" ", b"\t")
_CR = 13


class MessageParser:
    """
    Parses one request: its head, and its body if that is chunked.
    """

    __slots__ = ("_collector", "_llhttp")

    def __init__(self) -> None:
        self._collector = _Collector()
        self._llhttp = httptools.HttpRequestParser(self._collector)

    def feed(self, data: bytes | memoryview) -> None:
        """
        Parse C{data}, which does not go beyond the next empty line.

        @raise ParserError: it is malformed.
        """
        try:
            self._llhttp.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The gate decides about upgrades; this parser is fed no further.
            pass

    @property
    def pieces(self) -> list[bytes]:
        """Chunked body so far, without its framing; whoever takes it clears it."""
        return self._collector.pieces

    @property
    def chunks(self) -> int:
        """How many chunk headers there have been."""
        return self._collector.chunks

    @property
    def complete(self) -> bool:
        """Whether the message is over."""
        return self._collector.complete

    def take_fields(self) -> Headers:
        """The fields so far, which are then forgotten: first the head's, later the trailers."""
        collector = self._collector
        fields, collector.fields = collector.fields, []
        return fields


def without_empty_lines(data: bytes) -> bytes:
    """
    C{data} without the empty lines that some clients send before a request line.

    @raise BadRequest: they are something else.
    """
    rest = data.lstrip(b"\r\n")
    empty = data[: len(data) - len(rest)]
    whole, odd = divmod(len(empty), 2)
    if empty[: 2 * whole] != b"\r\n" * whole or (odd and (rest or empty[-1] != _CR)):
        raise BadRequest("a line does not end in CR LF")
    return empty[-1:] if odd else rest
