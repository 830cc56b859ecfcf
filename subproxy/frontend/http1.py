"""
HTTP/1.1: bytes to exchanges, one after the other.

Requests are answered in order and served one at a time: what a client pipelines is held as it
came, a read or two of it, and no more is read until its turn comes. A whole head is
parsed at once; until it is whole, its bytes are all that there is of it. RFC 9112, above
all section 6 (bodies). What is below a request is in L{subproxy.frontend.connection}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.exchange import Exchange, RequestHead, State
from subproxy.core.fields import METHODS
from subproxy.errors import (
    BadRequest,
    ClientError,
    ClientGone,
    GuestSlow,
    RequestTimeout,
)
from subproxy.frontend.connection import ClientConnection, Reading
from subproxy.frontend.deadlines import NEVER
from subproxy.frontend.departure import Departure
from subproxy.frontend.gate import Passed
from subproxy.frontend.head_parser import MessageParser, ParserError
from subproxy.frontend.limits import WRITE_BUFFER
from subproxy.frontend.request_body import ChunkedBody, LengthBody
from subproxy.frontend.responder import Answer, Responder
from subproxy.frontend.tcp_info import bytes_taken, is_reset, waits_for_peer
from subproxy.frontend.upload import Upload
from subproxy.relay.lending import lend_reading

if TYPE_CHECKING:
    from subproxy.fastpath._front import FastFront
    from subproxy.frontend.factory import Http1Factory

_EMPTY_LINE = b"\r\n\r\n"
_CR = 13
_SHOWN = 256


@implementer(IHalfCloseableProtocol, IPushProducer)
class Http1Protocol(ClientConnection):
    """
    The server's side of one client connection.

    It is the push producer of its own transport, which so tells it when the client does not
    take what was written.

    @ivar front: the compiled path's side of the connection, if this serves it only for a while.
    """

    def __init__(self, factory: Http1Factory) -> None:
        self.factory = factory
        super().__init__()
        self.front: FastFront | None = None
        self._seen = 0  # how many of the held bytes were searched for the end of a head
        self._count = 0  # requests so far
        self._responder: Responder | None = None
        self._stays: bool | None = None  # an answer is written and waits for its bytes to leave
        self._advancing = False

    @property
    def busy(self) -> bool:
        """A request is under way."""
        return self._responder is not None

    # IProtocol and IHalfCloseableProtocol.

    def connectionMade(self) -> None:
        """A client connected."""
        transport = self.transport
        if not self.factory.opened(self):
            self._go(Reading.OVER)
            transport.abortConnection()
            return
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        transport.bufferSize = WRITE_BUFFER
        transport.registerProducer(self, True)
        self._wait(self.factory.limits.keepalive_timeout)

    def dataReceived(self, data: bytes) -> None:
        """Bytes came from the client."""
        state = self.state
        if state is Reading.IDLE or state is Reading.HEAD:
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
        if state is Reading.IDLE:
            self._lose()
        elif state is Reading.HEAD:
            self._refuse(self._held, BadRequest("the request head is incomplete"))
        elif state is Reading.COLLECTING or state is Reading.STREAMING:
            self._fail(BadRequest("the request body is incomplete"))
        elif state is Reading.ANSWERING:
            responder = self._responder
            if responder is not None and responder.request.version != b"1.0":
                Departure(self, responder).watch(self.factory.clock)
        elif state is Reading.LINGERING:
            self._lose()

    def writeConnectionLost(self) -> None:
        """Our own half of the connection is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone, or was sent away."""
        self._go(Reading.OVER)
        self.factory.closed(self)
        self.deadline = NEVER
        self._held = b""
        self._upload = self._borrower = None
        responder, self._responder = self._responder, None
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
        if self._takes is not None:
            self._takes.stop(self.factory.monotonic())
        self._lookAhead()
        responder = self._responder
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
                and self._held
                and self.writable
                and self._readHead()
            ):
                pass
        finally:
            self._advancing = False
        if self._paused and (self.state is Reading.IDLE or self.state is Reading.HEAD):
            if self.writable:
                self._resumeReading()
        elif not self.writable and self._held:
            self._pauseReading()
        self._handBack()

    def _handBack(self) -> None:
        """Nothing is under way, and nothing held: the compiled path may have the next request."""
        front = self.front
        if (
            front is not None
            and self.state is Reading.IDLE
            and self.writable
            and not (self._advancing or self._held or self._paused or self._half_closed)
        ):
            self.front = None
            self.factory.connections.discard(self)
            self._go(Reading.OVER)
            front.takeBack(self._count, self._due, self.deadline)

    def _readHead(self) -> bool:
        """Take the next head from what is held; False if it is not whole."""
        gate = self.factory.gate
        data = self._held
        try:
            if data[0] == _CR:
                data = self._held = _without_empty_lines(data)
                self._seen = 0
            seen = self._seen
            end = data.find(_EMPTY_LINE, max(0, seen - 3))
            if end < 0:
                if self.state is Reading.IDLE:
                    self._go(Reading.HEAD)
                    self._wait(self.factory.limits.header_timeout)
                self._seen = len(data)
                gate.check_partial(data, seen)
                return False
            end += 4
            self._seen = 0
            if end == len(data):
                self._held = b""
            else:
                data, self._held = data[:end], data[end:]
            method, target, version = gate.check_line(data[: data.find(b"\r\n")])
            gate.check_head(end, 0)
            parser = MessageParser()
            parser.feed(data)
            fields = parser.take_fields()
            gate.check_head(end, len(fields))
            peer = self._peer
            if peer is None:
                peer = self._peer = self._meet()
            self._begin(gate.check_request(method, target, version, fields, peer), parser)
        except ParserError:
            self._refuse(data, BadRequest("the request head is malformed"))
        except ClientError as error:
            self._refuse(data, error)
        return True

    def _begin(self, passed: Passed, parser: MessageParser) -> None:
        """Make an exchange of a request, or collect its body first."""
        head = passed.head
        limits = self.factory.limits
        now = self.factory.monotonic()
        self._count += 1
        responder = Responder(self, head, passed.keep_alive, now)
        if head.target == b"*":
            self._answerForAll(responder)
            return
        if head.length == 0:
            self._responder = responder
            self._go(Reading.ANSWERING)
            self._dispatch(responder, b"")
            return
        body: LengthBody | ChunkedBody
        if head.length is None:
            body = ChunkedBody(parser, limits.body, limits.chunk_overhead)
        else:
            body = LengthBody(head.length)
        self._responder = responder
        held, self._held = self._held, b""
        try:
            data, self._held = body.feed(held) if held else (b"", b"")
        except ClientError as error:
            self._fail(error)
            return
        if data:
            head.expect = False
            responder.bodyCame()
        if body.complete and len(data) <= limits.inline and not body.trailers:
            head.length = len(data)
            self._go(Reading.ANSWERING)
            self._dispatch(responder, data)
            return
        upload = self._upload = Upload(body, data)
        if body.complete:
            self._go(Reading.ANSWERING)
        elif head.length is not None and head.length <= limits.inline and not head.expect:
            self._go(Reading.COLLECTING)
            upload.pace.start(now)
            self._due = NEVER
            self._lookAhead()
            return
        else:
            self._go(Reading.STREAMING)
            self._pauseReading()
        self._dispatch(responder, None)

    def _dispatch(self, responder: Responder, body: bytes | None) -> None:
        factory = self.factory
        exchange = Exchange(responder.request, body, responder, factory.dispatcher)
        responder.exchange = exchange
        self._wait(factory.limits.response_timeout)
        factory.dispatcher.dispatch(exchange)

    def _answerForAll(self, responder: Responder) -> None:
        """
        C{OPTIONS *} asks about the server as a whole: the proxy speaks for itself.

        A body that comes with it means nothing, and is not waited for.
        """
        self._responder = responder
        if responder.request.length == 0:
            self._go(Reading.ANSWERING)
        exchange = responder.exchange = Exchange(responder.request, b"", responder)
        exchange.move(State.SENT)
        exchange.response_start(200, b"", [(b"Allow", b", ".join(sorted(METHODS)))], b"")

    def _refuse(self, data: bytes, error: ClientError) -> None:
        """Answer a head that can't be made a request of, and close."""
        line = data[:_SHOWN].partition(b"\r\n")[0].partition(b"\n")[0]
        method = b"HEAD" if line.startswith(b"HEAD ") else b""
        request = RequestHead(
            method,
            line,
            b"",
            b"",
            [],
            client=(self._peer or self._meet()).address,
            request_id=self.factory.gate.ids.make(),
        )
        self._count += 1
        responder = self._responder = Responder(self, request, False, self.factory.monotonic())
        responder.exchange = Exchange(request, b"", responder)
        responder.exchange.fail(error)

    def _fail(self, error: ClientError) -> None:
        """The body of a request can't be had: answer that, and close."""
        responder = self._responder
        assert responder is not None
        if responder.exchange is None:
            responder.exchange = Exchange(responder.request, b"", responder)
        responder.exchange.fail(error)

    # Bodies come.

    def _bodyCame(self, data: bytes) -> None:
        upload, responder = self._upload, self._responder
        assert upload is not None
        assert responder is not None
        try:
            self._held = upload.take(data)
        except ClientError as error:
            self._fail(error)
            return
        responder.bodyCame()
        collected = self.state is Reading.COLLECTING
        if upload.complete:
            self._go(Reading.ANSWERING)
            if collected:
                self._upload = None
                self._dispatch(responder, upload.held())
                return
            self._wait(self.factory.limits.response_timeout)
        if not collected:
            self._passOn(responder)

    def _passOn(self, responder: Responder) -> None:
        """Give the guest what is held of the body, as far as it takes it, and the end."""
        upload, exchange = self._upload, responder.exchange
        if upload is None or exchange is None:
            return
        if upload.pass_on(exchange) and self._upload is upload:
            self._upload = None
            exchange.request_end(self.factory.gate.check_trailers(upload.trailers))

    def uploadPaused(self, responder: Responder) -> None:
        """The guest takes no more body for now."""
        upload = self._upload
        if responder is self._responder and upload is not None and upload.flows:
            upload.flows = False
            if self.state is Reading.STREAMING:
                self._pauseReading()
                upload.pace.stop(self.factory.monotonic())
                self._wait(self.factory.limits.response_timeout)

    def uploadResumed(self, responder: Responder) -> None:
        """The guest takes body."""
        upload = self._upload
        if responder is not self._responder or upload is None or upload.flows:
            return
        upload.flows = True
        self._passOn(responder)
        if upload.flows and self.state is Reading.STREAMING:
            self._resumeReading()
            upload.pace.start(self.factory.monotonic())
            self._due = NEVER

    # The socket is lent (L{subproxy.frontend.client_socket}).

    def lendReceiving(
        self, responder: Responder, least: int, then: Callable[[int, int], None]
    ) -> bool:
        """Lend the receiving side, if the client still has enough to send of a body."""
        upload = self._upload
        if (
            responder is not self._responder
            or self.state is not Reading.STREAMING
            or upload is None
            or not upload.flows
            or self._half_closed
            or self._lent
            or upload.left < least
        ):
            return False
        self._lent = self._paused = True

        def quiet(data: bytes) -> None:
            if not self._lent or self._upload is not upload:
                return
            if data:
                self._bodyCame(data)
            # That the guest pauses for what was held does not matter: who moves the rest waits.
            if self._lent and self._upload is upload and upload.left >= least:
                then(self.transport.fileno(), upload.left)
            else:
                self.uploadReturned(responder)

        lend_reading(self.transport, quiet)
        return True

    def uploadMoved(self, amount: int) -> None:
        """Some of the body went its way."""
        if self._upload is not None:
            self._upload.moved(amount)

    def uploadStalled(self, stalled: bool) -> None:
        """It is the guest that stops the body; or not."""
        if self._upload is not None:
            pace = self._upload.pace
            (pace.stop if stalled else pace.start)(self.factory.monotonic())

    def uploadReturned(self, responder: Responder) -> None:
        """The receiving side is ours again."""
        if not self._lent:
            return
        self._lent = False
        upload = self._upload
        if responder is not self._responder or self.state is not Reading.STREAMING:
            return
        if upload is not None and upload.complete:
            self._go(Reading.ANSWERING)
            self._wait(self.factory.limits.response_timeout)
            self._passOn(responder)
            self._resumeReading()
        elif upload is not None and upload.flows:
            self._resumeReading()

    # Answers go.

    def mayStay(self, responder: Responder) -> bool:
        """Whether the connection may serve another request after this one."""
        return (
            responder.keep_alive
            and self.state is Reading.ANSWERING
            and not self._half_closed
            and self._count < self.factory.limits.requests
            and not self.factory.draining
        )

    def waitsFor(self, responder: Responder) -> bool:
        """Whether nothing of C{responder}'s answer has been written yet."""
        return responder is self._responder and responder.answer is Answer.WAITING

    def responseBegins(self) -> float:
        """A response head is about to be written; returns the time."""
        self._due = NEVER
        self._lookAhead()
        return self.factory.monotonic()

    def answered(self, responder: Responder, stays: bool) -> None:
        """
        An answer was written whole.

        @param stays: whether the client was told that the connection stays.
        """
        if responder is not self._responder:
            return
        if self.writable:
            self._settle(responder, stays)
        else:
            self._stays = stays

    def _settle(self, responder: Responder, stays: bool) -> None:
        """The last byte of an answer has left, or waits in a transport that takes more."""
        self._log(responder)
        self._responder = None
        self._upload = self._takes = None
        if not stays:
            self._close()
            return
        self._go(Reading.IDLE)
        limits = self.factory.limits
        self._wait(limits.keepalive_timeout)
        if limits.body_rate:
            self.deadline -= max(0.0, limits.keepalive_timeout - limits.body_grace)
        if self._held or self._paused:
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

    def deadlinePassed(self, now: float) -> None:
        """The sweeper looks: who took too long?"""
        limits = self.factory.limits
        state = self.state
        takes = self._takes
        if (
            takes is not None
            and (state is Reading.OVER or not self.writable)
            and takes.exceeded(
                now, bytes_taken(self.transport) or 0, limits.body_grace, limits.body_rate
            )
        ):
            self.abort()
        elif (
            (state is Reading.COLLECTING or state is Reading.STREAMING)
            and self._upload is not None
            and self._upload.too_slow(now, limits.body_grace, limits.body_rate)
        ):
            self._fail(RequestTimeout("the request body came too slowly"))
        elif state is Reading.STREAMING and self._paused and is_reset(self.transport):
            # Who is not read from is not heard leaving either.
            self.abort()
        elif now >= self._due:
            self._due = NEVER
            self._dueNow()
        elif state is Reading.IDLE:
            # A while behind its answer: was that taken, or does it fill the kernel's buffers?
            if waits_for_peer(self.transport):
                self.abort()
            else:
                self.deadline = self._due

    def _dueNow(self) -> None:
        state = self.state
        if state is Reading.IDLE:
            self._lose()
        elif state is Reading.HEAD:
            self._refuse(self._held, RequestTimeout("the request head came too slowly"))
        elif state is Reading.LINGERING:
            self.abort()
        else:
            responder = self._responder
            if responder is not None and responder.exchange is not None:
                responder.exchange.fail(GuestSlow())


def _without_empty_lines(data: bytes) -> bytes:
    """C{data} without the empty lines that some clients send before a request line."""
    rest = data.lstrip(b"\r\n")
    empty = data[: len(data) - len(rest)]
    whole, odd = divmod(len(empty), 2)
    if empty[: 2 * whole] != b"\r\n" * whole or (odd and (rest or empty[-1] != _CR)):
        raise BadRequest("a line does not end in CR LF")
    return empty[-1:] if odd else rest
