"""
An HTTP/1.1 connection: bytes to exchanges, one after the other.

Requests are answered in order and served one at a time: what a client pipelines is held as it
came, at most a read or two of it, and no more is read until its turn comes. A whole head
is parsed at once; until it is whole, its bytes are all that there is of it.

What a connection does with bytes is its state, L{Reading}; what may follow what
is in L{TRANSITIONS}. RFC 9112, above all sections 6 (bodies) and 9 (connections).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.exchange import Exchange, Headers, RequestHead, State
from subproxy.core.forwarded import UNIX, Peer
from subproxy.errors import (
    BadRequest,
    ClientError,
    ClientGone,
    GuestSlow,
    ProxyError,
    RequestTimeout,
)
from subproxy.frontend.deadlines import NEVER, Pace
from subproxy.frontend.departure import Departure
from subproxy.frontend.gate import Passed
from subproxy.frontend.head_parser import MessageParser, ParserError
from subproxy.frontend.request_body import ChunkedBody, LengthBody
from subproxy.frontend.responder import Answer, Responder
from subproxy.frontend.tcp_info import bytes_taken, is_reset

if TYPE_CHECKING:
    from subproxy.frontend.factory import Http1Factory

_EMPTY_LINE = b"\r\n\r\n"
_CR = 13
_SHOWN = 256


class Reading(Enum):
    """What becomes of the bytes that come in."""

    HEAD = auto()
    """They belong to the head of the next request."""
    COLLECTING = auto()
    """They belong to a body that is collected before its request is dispatched."""
    STREAMING = auto()
    """They belong to a body that goes on as it comes."""
    ANSWERING = auto()
    """They belong to later requests, and are held: a whole request is being answered."""
    LINGERING = auto()
    """They are thrown away: the last answer has been written, and should arrive."""
    OVER = auto()
    """They mean nothing any more."""


TRANSITIONS: dict[Reading, frozenset[Reading]] = {
    Reading.HEAD: frozenset(Reading) - {Reading.HEAD},
    Reading.COLLECTING: frozenset({Reading.ANSWERING, Reading.LINGERING, Reading.OVER}),
    Reading.STREAMING: frozenset({Reading.ANSWERING, Reading.LINGERING, Reading.OVER}),
    Reading.ANSWERING: frozenset({Reading.HEAD, Reading.LINGERING, Reading.OVER}),
    Reading.LINGERING: frozenset({Reading.OVER}),
    Reading.OVER: frozenset(),
}


@implementer(IHalfCloseableProtocol, IPushProducer)
class Http1Protocol(Protocol):
    """
    The server's side of one client connection.

    It is the push producer of its own transport, which so tells it when the client does not
    take what was written.

    @ivar state: what becomes of incoming bytes.
    @ivar deadline: when the sweeper should look at it (monotonic seconds).
    @ivar writable: the transport takes more: less than its buffer's size waits in it.
    """

    factory: Http1Factory

    def __init__(self, factory: Http1Factory) -> None:
        self.factory = factory
        self.state = Reading.HEAD
        self.deadline = NEVER
        self.writable = True
        self._due = NEVER  # the deadline of the state; `deadline` may be sooner, to have a look
        self._held = b""  # bytes not yet parsed
        self._scanned = 0  # how many of them were searched for the end of a head
        self._count = 0  # requests so far
        self._peer: Peer | None = None
        self._responder: Responder | None = None
        self._body: LengthBody | ChunkedBody | None = None
        self._moved = 0  # bytes of that body that came
        self._upload: bytearray | None = None  # body that is collected, or held for a paused guest
        self._flows = False  # the guest takes the body as it comes
        self._pace: Pace | None = None  # of the request body
        self._takes: Pace | None = None  # of the response
        self._stays: bool | None = None  # answered, and waiting for the last bytes to leave
        self._advancing = False
        self._paused = False  # reading is
        self._half_closed = False

    # IProtocol.

    def connectionMade(self) -> None:
        """A client connected."""
        transport = self.transport
        assert transport is not None
        if not self.factory.opened(self):
            self.state = Reading.OVER
            transport.abortConnection()
            return
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)
        self._due = self.deadline = (
            self.factory.monotonic() + self.factory.limits.keepalive_timeout
        )

    def dataReceived(self, data: bytes) -> None:
        """Bytes came from the client."""
        state = self.state
        if state is Reading.HEAD:
            self._held = self._held + data if self._held else data
            self._advance()
        elif state is Reading.STREAMING or state is Reading.COLLECTING:
            self._bodyCame(data)
        elif state is Reading.ANSWERING:
            self._held += data
            self._pauseReading()

    def readConnectionLost(self) -> None:
        """The client will send no more; it still gets the answers to what it sent."""
        self._half_closed = True
        state = self.state
        if state is Reading.HEAD:
            if self._held:
                self._refuse(self._held, BadRequest("the request head is incomplete"))
            else:
                self._close()
        elif state is Reading.COLLECTING or state is Reading.STREAMING:
            self._fail(BadRequest("the request body is incomplete"))
        elif state is Reading.ANSWERING:
            responder = self._responder
            if responder is not None and responder.request.version != b"1.0":
                Departure(self, responder).watch(self.factory.clock)
        else:
            self._lose()

    def writeConnectionLost(self) -> None:
        """Our own half of the connection is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone, or was sent away."""
        self._go(Reading.OVER)
        self.factory.closed(self)
        self.deadline = NEVER
        self._held = b""
        self._body = self._upload = None
        responder, self._responder = self._responder, None
        if responder is not None:
            exchange = responder.exchange
            if responder.status == 0:
                responder.status = 499
            if exchange is not None:
                if responder.answer is not Answer.DONE:
                    responder.answer = Answer.DONE
                    exchange.cancel(ClientGone())
                self._log(responder, exchange)

    # IPushProducer: the transport speaks.

    def pauseProducing(self) -> None:
        """The client does not take what is written."""
        self.writable = False
        if self.state is Reading.OVER:
            return
        takes = self._takes
        if takes is None:
            takes = self._takes = Pace(bytes_taken(self.transport) or 0)
        takes.start(self.factory.monotonic())
        self.deadline = 0.0

    def resumeProducing(self) -> None:
        """All that was written has left."""
        self.writable = True
        now = self.factory.monotonic()
        if self._takes is not None:
            self._takes.stop(now)
        self.deadline = self._due
        responder = self._responder
        if responder is not None:
            responder.drained()
            if self._stays is not None:
                stays, self._stays = self._stays, None
                self._settle(responder, stays)
        self._advance()

    def stopProducing(self) -> None:
        """The transport is gone; C{connectionLost} follows."""
        self.writable = False

    # Requests.

    def _advance(self) -> None:
        """Begin with the next request if it is here whole and nothing is in its way."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self.state is Reading.HEAD and self._held and self.writable:
                if not self._readHead():
                    break
        finally:
            self._advancing = False
        if self._paused and self.writable and self.state is Reading.HEAD:
            self._resumeReading()

    def _readHead(self) -> bool:
        """Take the next head from what is held; False if it is not whole."""
        gate = self.factory.gate
        data = self._held
        try:
            if data[0] == _CR:
                data = self._held = _without_empty_lines(data)
                self._scanned = 0
            end = data.find(_EMPTY_LINE, self._scanned)
            if end < 0:
                self._waitForHead()
                if len(data) > 1:
                    gate.check_partial(data, min(self._scanned + 3 if self._scanned else 0, len(data)))
                self._scanned = max(0, len(data) - 3)
                return False
            end += 4
            self._scanned = 0
            if end == len(data):
                self._held = b""
            else:
                data, self._held = data[:end], data[end:]
            parser = MessageParser()
            method, target, version = gate.check_line(data[: data.find(b"\r\n")])
            gate.check_head(end, 0)
            parser.feed(data)
            gate.check_head(end, len(parser.fields))
            peer = self._peer
            if peer is None:
                peer = self._peer = self._meet()
            passed = gate.check_request(method, target, version, parser.take_fields(), peer)
            self._begin(passed, parser)
        except ParserError:
            self._refuse(data, BadRequest("the request head is malformed"))
        except ClientError as error:
            self._refuse(data, error)
        return True

    def _waitForHead(self) -> None:
        # The first byte of a head starts its clock; later ones do not move it.
        if not self._scanned or self._due == NEVER:
            due = self.factory.monotonic() + self.factory.limits.header_timeout
            if not self._in_head:
                self._due = self.deadline = due
                self._in_head = True
