"""
HTTP/1.1: bytes to exchanges, one after the other.

Requests are answered in order and served one at a time: what a client pipelines is held as it
came, a read or two of it, and no more is read until its turn comes. A whole head is
parsed at once; until it is whole, its bytes are all that there is of it. RFC 9112, above
all section 6 (bodies). What is below a request is in L{subproxy.frontend.connection}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.exchange import Exchange
from subproxy.errors import BadRequest, ClientError, ClientGone, GuestSlow, RequestTimeout
from subproxy.frontend.connection import ClientConnection, Reading
from subproxy.frontend.deadlines import NEVER
from subproxy.frontend.departure import Departure
from subproxy.frontend.gate import Passed
from subproxy.frontend.hangup import Hangup, hangup
from subproxy.frontend.head_parser import MessageParser, ParserError, without_empty_lines
from subproxy.frontend.limits import WRITE_BUFFER
from subproxy.frontend.own_answers import answer_for_all, refuse, unreadable
from subproxy.frontend.request_body import ChunkedBody, LengthBody
from subproxy.frontend.responder import Answer, Responder
from subproxy.frontend.tcp_info import bytes_taken
from subproxy.frontend.upload import Upload
from subproxy.frontend.uploader import Uploader

if TYPE_CHECKING:
    from subproxy.fastpath._front import FastFront
    from subproxy.frontend.factory import Http1Factory

_EMPTY_LINE = b"\r\n\r\n"
_CR = 13


@implementer(IHalfCloseableProtocol, IPushProducer)
class Http1Protocol(ClientConnection):
    """
    The server's side of one client connection.

    It is the push producer of its own transport, which so tells it when the client does not
    take what was written.

    @ivar front: the compiled path's side of the connection, if this serves it only for a while.
    @ivar departure: what becomes of the answer under way now that the client's FIN is here.
    """

    def __init__(self, factory: Http1Factory) -> None:
        self.factory = factory
        super().__init__()
        self.front: FastFront | None = None
        self._seen = 0  # how many of the held bytes were searched for the end of a head
        self.count = 0  # requests so far
        self.responder: Responder | None = None
        self._stays: bool | None = None  # an answer is written and waits for its bytes to leave
        self._advancing = False
        self.departure: Departure | None = None
        self._taken: int | None = None  # of what went before the streamed answer

    @property
    def busy(self) -> bool:
        """A request is under way."""
        return self.responder is not None

    # IProtocol and IHalfCloseableProtocol.

    def connectionMade(self) -> None:
        """A client connected."""
        transport = self.transport
        if not self.factory.opened(self):
            self.go(Reading.OVER)
            transport.abortConnection()
            return
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        transport.bufferSize = WRITE_BUFFER
        transport.registerProducer(self, True)
        self.wait(self.factory.limits.keepalive_timeout)

    def dataReceived(self, data: bytes) -> None:
        """Bytes came from the client."""
        state = self.state
        if state is Reading.IDLE or state is Reading.HEAD:
            self.held = self.held + data if self.held else data
            self._advance()
        elif state is Reading.STREAMING or state is Reading.COLLECTING:
            uploader = self.uploader
            assert uploader is not None
            uploader.came(data)
        elif state is Reading.ANSWERING:
            self.held += data
            self.pauseReading()

    def readConnectionLost(self) -> None:
        """The client will send no more; it still gets the answers to what it sent."""
        self.half_closed = True
        state = self.state
        if state is Reading.IDLE or state is Reading.HEAD:
            self._askNoMore()
        elif state is Reading.COLLECTING or state is Reading.STREAMING:
            self.fail(BadRequest("the request body is incomplete"))
        elif state is Reading.ANSWERING:
            self.finCame()
        elif state is Reading.LINGERING:
            self._lose()

    def _askNoMore(self) -> None:
        """No request is under way, and none that is whole will come."""
        if self.state is Reading.HEAD:
            self._refuse(self.held, BadRequest("the request head is incomplete"))
        elif self.state is Reading.IDLE:
            self._lose()

    def finCame(self) -> None:
        """See L{ClientConnection}."""
        responder, departure = self.responder, self.departure
        behind = False
        if departure is None:
            factory = self.factory
            departure = self.departure = Departure(
                self, factory.half_close, factory.clock, factory.monotonic
            )
            if responder is not None and responder.answer is Answer.STREAMING:
                # A FIN that acknowledges nothing of the answer was sent before its head came.
                behind = self._taken is None or bytes_taken(self.transport) != self._taken
        departure.came(behind)

    def writeConnectionLost(self) -> None:
        """Our own half of the connection is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone, or was sent away."""
        self.go(Reading.OVER)
        if self.departure is not None:
            self.departure.stop()
        self.factory.closed(self)
        self.deadline = NEVER
        self.held = b""
        self.uploader = self._borrower = None
        responder, self.responder = self.responder, None
        if responder is not None:
            if responder.status == 0:
                responder.status = ClientGone.status
            if responder.answer is not Answer.DONE:
                responder.answer = Answer.DONE
                if responder.exchange is not None:
                    responder.exchange.cancel(ClientGone())
            self._log(responder)

    # IPushProducer: the transport speaks.

    def pauseProducing(self) -> None:
        """The client does not take what is written."""
        self.writable = False
        if self.state is not Reading.OVER:
            self._expectTaking()
            self.deadline = 0.0

    def resumeProducing(self) -> None:
        """All that was written has left."""
        self.writable = True
        if self.state is Reading.OVER:
            return
        if self.takes is not None:
            self.takes.stop(self.factory.monotonic())
        self._lookAhead()
        responder = self.responder
        if responder is not None:
            responder.drained()
            if self._stays is not None:
                stays, self._stays = self._stays, None
                self._settle(responder, stays)
        self._advance()
        self._lendWhatWasWritten()

    def stopProducing(self) -> None:
        """The transport is gone; C{connectionLost} follows."""
        self.writable = False

    # Requests come.

    def _advance(self) -> None:
        """Begin with the next request if it is here whole and nothing is in its way."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while (
                (self.state is Reading.IDLE or self.state is Reading.HEAD)
                and self.held
                and self.writable
                and self._readHead()
            ):
                pass
        finally:
            self._advancing = False
        if self.paused and (self.state is Reading.IDLE or self.state is Reading.HEAD):
            if self.writable:
                self.resumeReading()
        elif not self.writable and self.held:
            self.pauseReading()
        if self.half_closed and self.writable:
            self._askNoMore()
        self._handBack()

    def _handBack(self) -> None:
        """Nothing is under way, and nothing held: the compiled path may have the next request."""
        front = self.front
        if (
            front is not None
            and self.state is Reading.IDLE
            and self.writable
            and not (self._advancing or self.held or self.paused or self.half_closed)
        ):
            self.front = None
            self.factory.connections.discard(self)
            self.go(Reading.OVER)
            front.takeBack(self.count, self.due, self.deadline)

    def _readHead(self) -> bool:
        """Take the next head from what is held; False if it is not whole."""
        gate = self.factory.gate
        data = self.held
        try:
            if data[0] == _CR:
                data = self.held = without_empty_lines(data)
                self._seen = 0
            seen = self._seen
            end = data.find(_EMPTY_LINE, max(0, seen - 3))
            if end < 0:
                if self.state is Reading.IDLE:
                    self.go(Reading.HEAD)
                    self.wait(self.factory.limits.header_timeout)
                self._seen = len(data)
                gate.check_partial(data, seen)
                return False
            end += 4
            self._seen = 0
            if end == len(data):
                self.held = b""
            else:
                data, self.held = data[:end], data[end:]
            method, target, version = gate.check_line(data[: data.find(b"\r\n")])
            gate.check_head(end, 0)
            parser = MessageParser()
            parser.feed(data)
            fields = parser.take_fields()
            gate.check_head(end, len(fields))
            peer = self.peer
            if peer is None:
                peer = self.peer = self._meet()
            self._begin(gate.check_request(method, target, version, fields, peer))
        except ParserError:
            self._refuse(data, BadRequest("the request head is malformed"))
        except ClientError as error:
            self._refuse(data, error)
        return True

    def _begin(self, passed: Passed) -> None:
        """Make an exchange of a request, or collect its body first."""
        head = passed.head
        limits = self.factory.limits
        now = self.factory.monotonic()
        self.count += 1
        responder = Responder(self, head, passed.keep_alive, now)
        self.responder = responder
        if passed.for_us:
            # A body that comes with it means nothing, and is not waited for.
            if head.length == 0:
                self.go(Reading.ANSWERING)
            answer_for_all(responder)
            return
        if head.length == 0:
            self.go(Reading.ANSWERING)
            self.dispatch(responder, b"")
            return
        body: LengthBody | ChunkedBody
        if head.length is None:
            body = ChunkedBody(limits.body, limits.chunk_overhead)
        else:
            body = LengthBody(head.length)
        held, self.held = self.held, b""
        try:
            data, self.held = body.feed(held) if held else (b"", b"")
        except ClientError as error:
            self.fail(error)
            return
        if data:
            head.expect = False
            responder.bodyCame()
        if body.complete and len(data) <= limits.inline and not body.trailers:
            head.length = len(data)
            self.go(Reading.ANSWERING)
            self.dispatch(responder, data)
            return
        upload = Upload(body, data, passed.nominated)
        self.uploader = Uploader(self, responder, upload)
        if body.complete:
            self.go(Reading.ANSWERING)
        elif head.length is not None and head.length <= limits.inline and not head.expect:
            self.go(Reading.COLLECTING)
            upload.pace.start(now)
            self.due = NEVER
            self._lookAhead()
            return
        else:
            self.go(Reading.STREAMING)
            self.pauseReading()
        self.dispatch(responder, None)

    def dispatch(self, responder: Responder, body: bytes | None) -> None:
        """Have a request answered; with a body of None, that is still to come."""
        factory = self.factory
        exchange = Exchange(responder.request, body, responder, factory.dispatcher)
        responder.exchange = exchange
        self.wait(factory.limits.response_timeout)
        factory.dispatcher.dispatch(exchange)

    def _refuse(self, data: bytes, error: ClientError) -> None:
        """Answer a head that can't be made a request of, and close."""
        factory = self.factory
        client = (self.peer or self._meet()).address
        request = unreadable(data, client, factory.gate.ids.make())
        self.count += 1
        responder = self.responder = Responder(self, request, False, factory.monotonic())
        refuse(responder, error)

    def fail(self, error: ClientError) -> None:
        """The body of a request can't be had: answer that, and close."""
        assert self.responder is not None
        refuse(self.responder, error)

    # Answers go.

    def mayStay(self, responder: Responder) -> bool:
        """Whether the connection may serve another request after this one."""
        return (
            responder.keep_alive
            and self.state is Reading.ANSWERING
            and not self.half_closed
            and self.count < self.factory.limits.requests
            and not self.factory.draining
        )

    @property
    def answering(self) -> Responder | None:
        """The answer under way, of which something is still to be written."""
        responder = self.responder
        return None if responder is None or responder.answer is Answer.DONE else responder

    @property
    def waits(self) -> bool:
        """Whether nothing of the answer under way has been written yet."""
        responder = self.responder
        return responder is not None and responder.answer is Answer.WAITING

    def streamBegins(self) -> bool:
        """The head of a streamed answer is about to be written: false if nobody wants it."""
        if self.departure is None:
            if not self.half_closed and hangup(self.transport) is Hangup.FIN:
                self.finCame()
            else:
                self._taken = bytes_taken(self.transport)
        return self.state is not Reading.OVER

    def streamWrote(self) -> None:
        """Some of a streamed answer was written."""
        if self.departure is not None:
            self.departure.wrote()

    def responseBegins(self) -> float:
        """A response head is about to be written; returns the time."""
        self.due = NEVER
        self._lookAhead()
        return self.factory.monotonic()

    def answered(self, responder: Responder, stays: bool) -> None:
        """
        An answer was written whole.

        @param stays: whether the client was told that the connection stays.
        """
        if responder is not self.responder:
            return
        if self.writable:
            self._settle(responder, stays)
        else:
            self._stays = stays

    def _settle(self, responder: Responder, stays: bool) -> None:
        """The last byte of an answer has left, or waits in a transport that takes more."""
        self._log(responder)
        self.responder = None
        self.uploader = self.takes = None
        if self.state is Reading.OVER:
            return  # aborted: its loss is about to be told
        if not stays:
            self.closeBehind()
            return
        self.go(Reading.IDLE)
        limits = self.factory.limits
        self.wait(limits.keepalive_timeout)
        if limits.body_rate:
            self.deadline -= max(0.0, limits.keepalive_timeout - limits.body_grace)
        if self.held or self.paused or self.half_closed:
            self._advance()
        else:
            self._handBack()

    def _log(self, responder: Responder) -> None:
        exchange, responder.exchange = responder.exchange, None
        if exchange is not None:
            responder.ended = self.factory.monotonic()
            self.factory.log.exchangeEnded(exchange)

    # The connection.

    def closeIfIdle(self) -> None:
        """Close the connection if no request is under way; else it closes behind its answer."""
        if self.state is Reading.IDLE:
            self._lose()

    def slow(self) -> None:
        """The body of a request comes too slowly."""
        self.fail(RequestTimeout("the request body came too slowly"))

    def late(self) -> None:
        """The deadline of the state has passed."""
        state = self.state
        if state is Reading.IDLE:
            self._lose()
        elif state is Reading.HEAD:
            self._refuse(self.held, RequestTimeout("the request head came too slowly"))
        elif state is Reading.LINGERING:
            self.abort()
        else:
            responder = self.responder
            if responder is not None and responder.exchange is not None:
                responder.exchange.fail(GuestSlow())
