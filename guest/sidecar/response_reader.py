"""
Reads the responses of a program: HTTP/1.1 as a client sees it. No I/O.

The grammar is llhttp's, in httptools, without leniencies: it is what Node reads with. Beside it
stands what a parser can't know: to which method a response belongs (HEAD has no body), what its end
means for the connection, and what is too much.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache

import httptools

from subproxy.wire.fields import Headers

MOST_UNREAD = 131_072
"""Bytes of a head, of trailers or of chunk sizes that may come before they make an event."""

_BODILESS = frozenset({204, 304})


class BadResponse(Exception):
    """What came is no response that HTTP allows; its text is for a person."""


@dataclass(slots=True)
class AnswerHead:
    """
    The head of a response, an interim one where C{status} is below 200.

    @ivar headers: all of its fields, without white space around values.
    @ivar length: of the body, in bytes, where it is told; None where its end will show.
    """

    status: int
    reason: bytes
    headers: Headers
    length: int | None = None


@dataclass(slots=True)
class AnswerEnd:
    """The response is complete."""

    trailers: Headers = field(default_factory=list)


class ResponseReader:
    """
    Turns the bytes of one connection into responses, one for each L{begin}.

    @ivar events: what was read: L{AnswerHead}s, pieces of the body as bytes, L{AnswerEnd}.
    @ivar held: bytes of those pieces.
    @ivar complete: the response to the last request has ended.
    @ivar raw: the program has changed the protocol: all that comes are pieces, until it closes.
    @ivar reusable: another request may follow; False until the response is complete.
    @ivar idle_limit: for how many seconds the program keeps an idle connection, by its
        C{Keep-Alive} (RFC 2068 section 19.7.1.1); None if it does not say.
    """

    __slots__ = ("_bodiless", "_fault", "_head", "_headers", "_parser", "_reason", "_stays",
                 "_trailers", "_unread", "_until_close", "_upgrades", "complete", "events",
                 "held", "idle_limit", "raw", "reusable")  # fmt: skip

    def __init__(self) -> None:
        self.events: deque[AnswerHead | AnswerEnd | bytes] = deque()
        self.held = 0
        self.complete = True
        self.reusable = True
        self.idle_limit: float | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._reset(b"GET")

    def _reset(self, method: bytes) -> None:
        self._bodiless = method == b"HEAD"
        self._fault: str | None = None
        self._head: AnswerHead | None = None
        self._headers: Headers = []
        self._trailers: Headers = []
        self._reason = b""
        self._stays = False
        self._until_close = False
        self._unread = 0
        self._upgrades = self.raw = False

    def begin(self, method: bytes, upgrades: bool = False) -> None:
        """
        A request has been sent with C{method}: its response comes next.

        @param upgrades: it asks for another protocol, so 101 may be the answer.
        """
        if self._bodiless:  # llhttp waits for the body that HEAD has not
            self._parser = httptools.HttpResponseParser(self)
        self._reset(method)
        self._upgrades = upgrades
        self.complete = self.reusable = False

    def feed(self, data: bytes) -> None:
        """
        Read on.

        @raise BadResponse: there is no way on.
        """
        before = len(self.events)
        try:
            if self.raw:
                self._piece(data)
            else:
                self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self.raw:
                raise BadResponse("another protocol, and nobody has asked for it") from None
            if rest := data[upgrade.args[0] :]:
                self._piece(rest)
        except Exception as error:
            self.reusable = False
            if self.complete and self._fault is None:
                return  # what follows a response is not looked at, and closes the connection
            raise BadResponse(self._fault or f"{error}") from None
        self._unread = 0 if len(self.events) > before else self._unread + len(data)
        if self._unread > MOST_UNREAD:
            raise BadResponse(f"over {MOST_UNREAD} bytes of a head, or of trailers")

    def _piece(self, data: bytes) -> None:
        self.events.append(data)
        self.held += len(data)

    def take(self) -> AnswerHead | AnswerEnd | bytes:
        """The first of the events, which there are."""
        event = self.events.popleft()
        if type(event) is bytes:
            self.held -= len(event)
        return event

    def take_all(self) -> list[AnswerHead | AnswerEnd | bytes]:
        """All of them."""
        events = list(self.events)
        self.events.clear()
        self.held = 0
        return events

    def eof(self) -> None:
        """
        The program has closed the connection.

        @raise BadResponse: in the middle of a response.
        """
        self.reusable = False
        if self.complete:
            return
        if not self._until_close and not self.raw:
            where = "before its end" if self._head is not None else "before it answered"
            raise BadResponse(f"the program closed the connection {where}")
        self._end()

    def _fail(self, fault: str) -> None:
        self._fault = fault
        raise BadResponse(fault)

    def _end(self) -> None:
        self.complete = True
        self.reusable = self._stays and not self._until_close
        self.events.append(AnswerEnd(self._trailers))

    # Of httptools.

    def on_message_begin(self) -> None:
        """A response begins; nobody has asked for another behind the last."""
        if self.complete:
            self.reusable = False
            raise BadResponse

    def on_status(self, reason: bytes) -> None:
        """Some of the reason phrase."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head, or a trailer."""
        section = self._headers if self._head is None else self._trailers
        section.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        status = self._parser.get_status_code()
        if status == 101:
            if not self._upgrades or not self._parser.should_upgrade():
                self._fail("101, and nobody has asked for another protocol")
            self.raw = True
            self._head = AnswerHead(status, self._reason, self._headers)
            self.events.append(self._head)
            return
        if status < 200:
            return
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._fail(f"HTTP/{version}")
        head = AnswerHead(status, self._reason, self._headers)
        self._frame(head, version)
        self._head = head
        self.events.append(head)
        if self._bodiless:
            self._end()

    def _frame(self, head: AnswerHead, version: str) -> None:
        """What its fields say of the body, and of the connection behind it."""
        options = b""
        coding = b""
        for name, value in head.headers:
            size = len(name)
            if size == 10 and name.lower() == b"connection":
                options += b"," + value.lower()
            elif size == 14 and name.lower() == b"content-length":
                head.length = int(value)  # llhttp has taken it for a number
            elif size == 17 and name.lower() == b"transfer-encoding":
                coding += b"," + value.lower()
            elif size == 10 and name.lower() == b"keep-alive":
                self.idle_limit = _timeout(value)
        if coding and (coding != b",chunked" or version == "1.0"):
            self._fail(f"a Transfer-Encoding of {coding[1:].decode('latin-1')}")
        self._stays = _stays(options, version)
        if self._bodiless or head.status in _BODILESS:
            head.length = None
        else:
            self._until_close = head.length is None and not coding

    def on_body(self, data: bytes) -> None:
        """Some of the body; there is none after HEAD, whatever the program thinks."""
        if self.complete:
            self.reusable = False
        else:
            self._piece(data)

    def on_message_complete(self) -> None:
        """A response is complete; what follows 101 is none."""
        if self.raw:
            return
        if self._head is None:
            status = self._parser.get_status_code()
            self.events.append(AnswerHead(status, self._reason, self._headers))
            self._headers, self._reason = [], b""
        elif not self.complete:
            self._end()


@lru_cache(64)
def _stays(options: bytes, version: str) -> bool:
    """Whether a connection is kept, by all that C{Connection} says (RFC 9112 section 9.3)."""
    tokens = [option.strip(b" \t") for option in options.split(b",")]
    return b"close" not in tokens and (version == "1.1" or b"keep-alive" in tokens)


@lru_cache(64)
def _timeout(value: bytes) -> float | None:
    """C{timeout=} of a C{Keep-Alive} field, in seconds."""
    for part in value.split(b","):
        name, _, number = part.strip(b" \t").partition(b"=")
        if name.lower() == b"timeout" and number.isdigit() and len(number) < 10:
            return float(number)
    return None
