"""
HTTP/1.1: bytes to exchanges, one after the other.

Requests are answered in order and served one at a time: what a client pipelines is held as it
came, a read or two of it, and no more is read until its turn comes. A whole head is
parsed at once; until it is whole, its bytes are all that there is of it. RFC 9112, above
all section 6 (bodies). What is below a request is in L{subproxy.frontend.connection}.
"""

from __future__ import annotations

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.exchange import Exchange
from subproxy.core.reentrancy import ReentrancyGuard
from subproxy.errors import BadRequest, ClientError, GuestSlow, RequestTimeout
from subproxy.frontend.client_stream import ClientStream, ResponseState
from subproxy.frontend.client_tunnel import ClientTunnel, TunnelStream
from subproxy.frontend.connection import ClientConnection
from subproxy.frontend.connection_state import IN_TUNNEL, ConnectionState
from subproxy.frontend.context import FrontendContext
from subproxy.frontend.deadlines import NEVER
from subproxy.frontend.hangup import Hangup, hangup
from subproxy.frontend.http1.body_framing import framing_of
from subproxy.frontend.http1.disconnect_probe import DisconnectProbe
from subproxy.frontend.http1.framing import RequestValidator, ValidatedRequest
from subproxy.frontend.http1.head_parser import MessageParser, ParserError, without_empty_lines
from subproxy.frontend.http1.response_writer import Http1Encoder
from subproxy.frontend.http1.unreadable_head import unreadable
from subproxy.frontend.http1.version import HTTP_1_1, VERSIONS
from subproxy.frontend.local_replies import answer_for_all, refuse
from subproxy.frontend.request_body_buffer import RequestBodyBuffer
from subproxy.frontend.request_body_reader import RequestBodyReader
from subproxy.frontend.tcp_info import bytes_taken
from subproxy.relay.receiving import ReceivingState
from subproxy.telemetry.close_reason import CloseReason

_EMPTY_LINE = b"\r\n\r\n"
_CR = 13


@implementer(IHalfCloseableProtocol, IPushProducer)
class Http1Protocol(ClientConnection):
    """
    The server's side of one client connection.

    It is the push producer of its own transport, which so tells it when the client does not
    take what was written.

    @ivar count: requests so far.
    @ivar client_stream: the answer under way.
    @ivar departure: what becomes of the answer under way now that the client's FIN is here.
    """

    __slots__ = ("departure",)

    def __init__(self, context: FrontendContext, validator: RequestValidator) -> None:
        super().__init__(context)
        self._validator = validator
        self._seen = 0  # how many of the held bytes were searched for the end of a head
        self.count = 0
        self.client_stream: ClientStream | None = None
        self._stays: bool | None = None  # an answer is written and waits for its bytes to leave
        self._advancing = ReentrancyGuard()
        self.departure: DisconnectProbe | None = None
        self._taken: int | None = None  # of what went before the streamed answer

    @property
    def busy(self) -> bool:
        """A request is under way."""
        return self.client_stream is not None

    # IProtocol and IHalfCloseableProtocol.

    def connectionMade(self) -> None:
        """A client connected."""
        if self.opened():
            self.wait(self.context.limits.keepalive_timeout)

    def dataReceived(self, data: bytes) -> None:
        """Bytes came from the client."""
        state = self.state
        if state is ConnectionState.IDLE or state is ConnectionState.HEAD:
            self.held = self.held + data if self.held else data
            self._advance()
        elif state is ConnectionState.STREAMING or state is ConnectionState.COLLECTING:
            body_reader = self.body_reader
            assert body_reader is not None
            body_reader.came(data)
        elif state is ConnectionState.ANSWERING:
            self.held += data
            self.pause_reading()
        elif self.tunnel is not None:
            self.keep_tunnel()
            self.tunnel.came(data)

    def readConnectionLost(self) -> None:
        """The client will send no more; it still gets the answers to what it sent."""
        self.receive(ReceivingState.ENDED)
        state = self.state
        if state is ConnectionState.IDLE or state is ConnectionState.HEAD:
            self._ask_no_more()
        elif state is ConnectionState.COLLECTING or state is ConnectionState.STREAMING:
            if self.body_reader is None or not self.body_reader.waits:
                self.fail(BadRequest("the request body is incomplete"))
        elif state is ConnectionState.ANSWERING:
            self.fin_came()
        elif self.tunnel is not None:
            self.tunnel.client_ended()
        elif state is ConnectionState.LINGERING:
            self.close(CloseReason.CLIENT_DONE)

    def _ask_no_more(self) -> None:
        """No request is under way, and none that is whole will come."""
        if self.state is ConnectionState.HEAD:
            self._refuse(self.held, BadRequest("the request head is incomplete"))
        elif self.state is ConnectionState.IDLE:
            self.close(CloseReason.CLIENT_DONE)

    def fin_came(self) -> None:
        """See L{ClientConnection}."""
        if self.state in IN_TUNNEL:
            return  # It is told when what came before it has been read.
        client_stream, departure = self.client_stream, self.departure
        behind = False
        if departure is None:
            context = self.context
            departure = self.departure = DisconnectProbe(
                self, context.half_close, context.clock, context.monotonic
            )
            if client_stream is not None and client_stream.answer is ResponseState.STREAMING:
                # A FIN that acknowledges nothing of the answer was sent before its head came.
                behind = self._taken is None or bytes_taken(self.transport) != self._taken
        departure.came(behind)

    def writeConnectionLost(self) -> None:
        """Our own half of the connection is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone, or was sent away."""
        self.transport_lost()
        if self.departure is not None:
            self.departure.stop()
        self.held = b""
        self.body_reader = None
        self.sending.void()
        client_stream, self.client_stream = self.client_stream, None
        if client_stream is not None:
            client_stream.body_source = None
            client_stream.client_gone()
            client_stream.log(self.close_reason)

    def drained(self) -> None:
        """See L{ClientConnection}."""
        self._look_ahead()
        client_stream = self.client_stream
        if client_stream is not None:
            client_stream.drained()
            if self._stays is not None:
                stays, self._stays = self._stays, None
                self._settle(client_stream, stays)
        self._advance()
        self.sending.resumed(self.transport)

    # Requests come.

    def _advance(self) -> None:
        """Begin with the next request if it is here whole and nothing is in its way."""
        if self._advancing.depth:
            return
        with self._advancing:
            while (
                (self.state is ConnectionState.IDLE or self.state is ConnectionState.HEAD)
                and self.held
                and self.writable
                and self._read_head()
            ):
                pass
        if self.receiving is ReceivingState.PAUSED and (
            self.state is ConnectionState.IDLE or self.state is ConnectionState.HEAD
        ):
            if self.writable:
                self.resume_reading()
        elif not self.writable and self.held:
            self.pause_reading()
        if self.receiving is ReceivingState.ENDED and self.writable:
            self._ask_no_more()
        self.rests()

    def rests(self) -> None:
        """
        A turn of the connection ends: for who serves it only until it is at rest.

        @see: L{at_rest}
        """

    @property
    def at_rest(self) -> bool:
        """Nothing is under way, nothing is held, and the client may ask."""
        return (
            self.state is ConnectionState.IDLE
            and self.writable
            and self.receiving is ReceivingState.READING
            and not (self._advancing.depth or self.held)
        )

    def _read_head(self) -> bool:
        """Take the next head from what is held; False if it is not whole."""
        validator = self._validator
        data = self.held
        try:
            if data[0] == _CR:
                data = self.held = without_empty_lines(data)
                self._seen = 0
                if not data or data == b"\r":
                    return False  # nothing was asked (RFC 9112 section 2.2): it is idle still
            seen = self._seen
            end = data.find(_EMPTY_LINE, max(0, seen - 3))
            if end < 0:
                if self.state is ConnectionState.IDLE:
                    self.go(ConnectionState.HEAD)
                    self.wait(self.context.limits.header_timeout)
                self._seen = len(data)
                validator.check_partial(data, seen)
                return False
            end += 4
            self._seen = 0
            if end == len(data):
                self.held = b""
            else:
                data, self.held = data[:end], data[end:]
            method, target, version = validator.check_line(data[: data.find(b"\r\n")])
            validator.check_head(end, 0)
            parser = MessageParser()
            parser.feed(data)
            fields = parser.take_fields()
            validator.check_head(end, len(fields))
            peer = self.peer
            if peer is None:
                peer = self.peer = self._meet()
            self._begin(validator.check_request(method, target, version, fields, peer))
        except ParserError:
            self._refuse(data, BadRequest("the request head is malformed"))
        except ClientError as error:
            self._refuse(data, error)
        return True

    def _begin(self, passed: ValidatedRequest) -> None:
        """Make an exchange of a request, or collect its body first."""
        head = passed.head
        context = self.context
        limits = context.limits
        now = context.monotonic()
        self.count += 1
        rules = None if passed.for_us else context.dispatcher.site_rules(head)
        client_stream = ClientStream(
            self, context, Http1Encoder(passed.version), head, passed.keep_alive, now, rules
        )
        self.client_stream = client_stream
        if passed.for_us:
            # A body that comes with it means nothing, and is not waited for.
            if head.length == 0:
                self.go(ConnectionState.ANSWERING)
            answer_for_all(client_stream)
            return
        if head.length == 0:
            self.go(ConnectionState.ANSWERING)
            self.dispatch(client_stream, b"")
            return
        if rules is not None and rules.answer(head) is not None:
            # Its body is not waited for.
            self.dispatch(client_stream, None)
            return
        most = context.body_limit(rules)
        if most and head.length is not None and head.length > most:
            self.fail(ClientError("the request body is too large", 413))
            return
        body = framing_of(head.length, most, limits.chunk_overhead)
        held, self.held = self.held, b""
        try:
            data, self.held = body.feed(held) if held else (b"", b"")
        except ClientError as error:
            self.fail(error)
            return
        if data:
            head.expect = False
            client_stream.body_came()
        if body.complete and len(data) <= limits.inline and not body.trailers:
            head.length = len(data)
            self.go(ConnectionState.ANSWERING)
            self.dispatch(client_stream, data)
            return
        if self.receiving is ReceivingState.ENDED and not body.complete and not self.held:
            # It ended while a request before this one was under way.
            self.fail(BadRequest("the request body is incomplete"))
            return
        upload = RequestBodyBuffer(body, data, passed.nominated)
        self.body_reader = client_stream.body_source = RequestBodyReader(
            self, client_stream, upload
        )
        if body.complete:
            self.go(ConnectionState.ANSWERING)
        elif head.length is not None and head.length <= limits.inline and not head.expect:
            self.go(ConnectionState.COLLECTING)
            upload.pace.start(now)
            self.wait_for_pace()
            self._look_ahead()
            # What came of it may have come behind a request under way, which stopped the reading.
            self.resume_reading()
            return
        else:
            self.go(ConnectionState.STREAMING)
            self.pause_reading()
            if self.held:
                self.body_reader.wait()
        self.dispatch(client_stream, None)

    def dispatch(self, client_stream: ClientStream, body: bytes | None) -> None:
        """Have a request answered; with a body of None, that is still to come."""
        context = self.context
        exchange = Exchange(client_stream.request, body, client_stream, context.dispatcher)
        client_stream.exchange = exchange
        self.wait(client_stream.response_timeout)
        if self.receiving is ReceivingState.ENDED:
            self.fin_came()
        context.dispatcher.dispatch(exchange)

    def collected(self, body: bytes) -> None:
        """A request whose body was waited for is whole."""
        assert self.client_stream is not None
        self.dispatch(self.client_stream, body)

    def _refuse(self, data: bytes, error: ClientError) -> None:
        """Answer a head that can't be made a request of, and close."""
        context = self.context
        client = (self.peer or self._meet()).address
        request = unreadable(data, client, context.rules.ids.make())
        self.count += 1
        encoder = Http1Encoder(VERSIONS.get(request.version, HTTP_1_1))
        client_stream = self.client_stream = ClientStream(
            self, context, encoder, request, False, context.monotonic()
        )
        refuse(client_stream, error)

    def fail(self, error: ClientError) -> None:
        """The body of a request can't be had: answer that, and close."""
        assert self.client_stream is not None
        refuse(self.client_stream, error)

    # Answers go.

    def may_stay(self, keep_alive: bool) -> bool:
        """
        Whether the connection may serve another request after the one under way.

        @param keep_alive: the client wants it to.
        """
        return (
            keep_alive
            and self.state is ConnectionState.ANSWERING
            and (self.receiving is not ReceivingState.ENDED or bool(self.held))
            and self.count < self.context.limits.requests
            and not self.context.status.draining
        )

    @property
    def answering(self) -> ClientStream | None:
        """The answer under way, of which something is still to be written."""
        stream = self.client_stream
        return None if stream is None or stream.answer is ResponseState.DONE else stream

    @property
    def waits(self) -> bool:
        """Whether nothing of the answer under way has been written yet."""
        client_stream = self.client_stream
        return client_stream is not None and client_stream.answer is ResponseState.WAITING

    def stream_begins(self) -> bool:
        """The head of a streamed answer is about to be written: false if nobody wants it."""
        if self.departure is None:
            ended = self.receiving is ReceivingState.ENDED
            if not ended and hangup(self.transport) is Hangup.FIN:
                self.fin_came()
            else:
                self._taken = bytes_taken(self.transport)
        return self.state is not ConnectionState.OVER

    def stream_wrote(self) -> None:
        """Some of a streamed answer was written."""
        if self.departure is not None:
            self.departure.wrote()
        if self.tunnel is not None:
            self.keep_tunnel()

    def tunnel_started(self, stream: TunnelStream) -> ClientTunnel:
        """See L{ClientConnection}."""
        if self.departure is not None:
            self.departure.stop()
            self.departure = None
        return super().tunnel_started(stream)

    def response_begins(self) -> float:
        """A response head is about to be written; returns the time."""
        self.due = NEVER
        self._look_ahead()
        return self.context.monotonic()

    def answered(self, stream: object, stays: bool) -> None:
        """
        The answer C{stream} was written whole.

        @param stays: whether the client was told that the connection stays.
        """
        client_stream = self.client_stream
        if client_stream is None or stream is not client_stream:
            return
        if self.writable:
            self._settle(client_stream, stays)
        else:
            self._stays = stays

    def _settle(self, client_stream: ClientStream, stays: bool) -> None:
        """The last byte of an answer has left, or waits in a transport that takes more."""
        client_stream.log(self.close_reason)
        self.client_stream = client_stream.body_source = None
        self.body_reader = self.takes = self.tunnel = None
        if self.state is ConnectionState.OVER:
            return  # aborted: its loss is about to be told
        if not stays:
            self.close(CloseReason.LAST_ANSWER)
            return
        self.go(ConnectionState.IDLE)
        limits = self.context.limits
        self.wait(limits.keepalive_timeout)
        if limits.body_rate:
            self.deadline -= max(0.0, limits.keepalive_timeout - limits.body_grace)
        if self.held or self.receiving is not ReceivingState.READING:
            self._advance()
        else:
            self.rests()

    # The connection.

    def close_if_idle(self) -> None:
        """Close the connection if no request is under way; else it closes behind its answer."""
        if self.state is ConnectionState.IDLE:
            self.close(CloseReason.DRAINING)

    def slow(self) -> None:
        """The body of a request comes too slowly."""
        self.fail(RequestTimeout("the request body came too slowly"))

    def late(self) -> None:
        """The deadline of the state has passed."""
        state = self.state
        if state is ConnectionState.IDLE:
            self.close(CloseReason.KEEPALIVE_TIMEOUT)
        elif state is ConnectionState.HEAD:
            self._refuse(self.held, RequestTimeout("the request head came too slowly"))
        elif state is ConnectionState.LINGERING:
            self.lingered()
        else:
            client_stream = self.client_stream
            if client_stream is not None and client_stream.exchange is not None:
                client_stream.exchange.fail(GuestSlow())
