"""
llhttp, fed one whole request head at a time.

What llhttp's strict mode refuses is refused here: bare LF, lone CR, folded lines, white
space before a colon, bad names, control characters, Content-Length beside
Transfer-Encoding, a second Content-Length. What it lets pass is the validator's part. A parser is
fed one head, or the trailers of one body, and nothing else: no byte of a body is ever read as a
request, whatever llhttp thinks of an C{Upgrade} (behind which it would begin anew), and no
request with the framing of another.

It is strict by default; C{set_dangerous_leniencies} must never be called.

Compiled a second time: L{subproxy.fastpath._request_head} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

import httptools

from subproxy.errors import BadRequest

Headers = list[tuple[bytes, bytes]]

ParserError = httptools.HttpParserError
"""What C{feed} raises; the parser is dead after it."""


class _Collector:
    """What llhttp calls."""

    __slots__ = ("complete", "fields")

    def __init__(self) -> None:
        self.fields: Headers = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        # llhttp leaves white space behind a value.
        if value[-1:] in _BLANK:
            value = value.rstrip(b" \t")
        self.fields.append((name, value))

    def on_message_complete(self) -> None:
        self.complete = True


_BLANK = (b" ", b"\t")
_CR = 13


class MessageParser:
    """
    Parses the head of one request; or trailers, behind a head and a last chunk.
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
            # An upgrade is not wanted, and this parser is fed no further.
            pass

    @property
    def complete(self) -> bool:
        """Whether the message is over, as llhttp sees it."""
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
