"""
HTTP/2: the shell around L{Http2Connection}, which has the rules; here are its bytes and its time.

What comes in one read is dealt with before anything is written, and what a turn of the reactor
has to say goes out in one write: over TLS, each would be a record.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.errors import ClientError, ClientGone, GuestSlow, RequestTimeout
from subproxy.frontend.client_stream import ResponseState
from subproxy.frontend.connection import ClientConnection
from subproxy.frontend.connection_state import ConnectionState
from subproxy.frontend.context import FrontendContext
from subproxy.frontend.deadlines import NEVER
from subproxy.frontend.http2.connection import Http2Connection
from subproxy.frontend.http2.events import (
    BodyCame,
    GoawaySeen,
    Http2Event,
    RequestCame,
    StreamReset,
)
from subproxy.frontend.http2.flood import Flood, FloodGuard
from subproxy.frontend.http2.frames import ErrorCode, Frame, FrameReader, Http2Error
from subproxy.frontend.http2.request_fields import (
    MalformedFields,
    read_request,
    read_trailers,
    unreadable_request,
)
from subproxy.frontend.http2.served_request import ServedRequest
from subproxy.frontend.limits import WRITE_BUFFER
from subproxy.frontend.local_replies import answer_for_all, refuse
from subproxy.frontend.tcp_info import bytes_taken
from subproxy.telemetry.close_reason import CloseReason

A_WRITE: Final = WRITE_BUFFER + 16_384
"""Bytes of data that are given to the transport at once: so many that it says when it has room."""

MOST_WAITING: Final = 524_288
"""Bytes of answers that may wait for a client before its further requests wait, too."""

GOING_GRACE: Final = 1.0
"""Seconds that a client has to notice that the connection ends, before it is told for good."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class Http2Protocol(ClientConnection):
    """
    The server's side of one client connection.

    @ivar connection: its machine.
    @ivar served: the requests under way, by the number of their stream.
    """

    def __init__(
        self, context: FrontendContext, connection: Http2Connection, guard: FloodGuard
    ) -> None:
        super().__init__(context)
        self.connection = connection
        self.served: dict[int, ServedRequest] = {}
        self._guard = guard
        self._reader = FrameReader()
        self._begun: list[ServedRequest] = []  # with a body, in this read
        self._later: deque[RequestCame] = deque()
        self._turns = 0  # how deep in what ends with a flush
        self._flush_called = False
        self._head_waits = True  # the preface, or a block of fields, is not whole
        self._going: CloseReason | None = None
        self._heard = False  # the client knows that we go

    @property
    def busy(self) -> int:
        """How many requests are under way."""
        return self.connection.counts.open

    # IProtocol and IHalfCloseableProtocol.

    def connectionMade(self) -> None:
        """A client connected."""
        transport = self.transport
        if not self.context.connections.opened(self):
            self.close(CloseReason.TOO_MANY)
            return
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        transport.bufferSize = WRITE_BUFFER
        transport.registerProducer(self, True)
        self.connection.begin()
        self.wait(self.context.limits.header_timeout)
        self.flush()

    def dataReceived(self, data: bytes) -> None:
        """Bytes came from the client."""
        if self._over:
            return
        try:
            self.frames_came(self._reader.feed(data))
        except Http2Error as error:
            self.fail_connection(error)

    def frames_came(self, frames: list[Frame]) -> None:
        """
        Frames came from the client.

        @raise Http2Error: the connection has to end.
        """
        now = self.context.monotonic()
        receive = self.connection.receive
        self._turns += 1
        try:
            for frame in frames:
                event = receive(frame, now)
                if event is not None:
                    self.handle(event, now)
            self._begin_bodies(now)
        finally:
            self._turns -= 1
        self._look_at_state()
        self.flush()

    @property
    def _over(self) -> bool:
        return self.state is ConnectionState.OVER or self.state is ConnectionState.LINGERING

    def readConnectionLost(self) -> None:
        """The client sends no more, and so takes no more: nothing can be told of its windows."""
        self.half_closed = True
        if not self._over:
            reason = CloseReason.CLIENT_LEFT if self.served else CloseReason.CLIENT_DONE
            self._cancel_all()
            self.close(reason)
        elif self.state is ConnectionState.LINGERING:
            self.close(CloseReason.CLIENT_DONE)

    def fin_came(self) -> None:
        """See L{ClientConnection}."""
        self.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """Our own half of the connection is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone, or was sent away."""
        if self.close_reason is None:
            self.close_reason = CloseReason.CLIENT_CLOSED
        self.go(ConnectionState.OVER)
        self.context.connections.closed(self)
        self.deadline = NEVER
        self._cancel_all()

    # IPushProducer: the transport speaks.

    def pauseProducing(self) -> None:
        """The client does not take what is written."""
        self.writable = False
        if self.state is not ConnectionState.OVER:
            self._expect_taking()
            self.deadline = 0.0

    def resumeProducing(self) -> None:
        """All that was written has left."""
        self.writable = True
        if self.state is ConnectionState.OVER:
            return
        if self.takes is not None:
            self.takes.stop(self.context.monotonic())
        self.flush()
        self._look_ahead()

    def stopProducing(self) -> None:
        """The transport is gone; C{connectionLost} follows."""
        self.writable = False

    # What frames come to.

    def handle(self, event: Http2Event, now: float) -> None:
        """Do what C{event} asks for."""
        if isinstance(event, RequestCame):
            if self._later or self.connection.sender.waiting > MOST_WAITING:
                self._later.append(event)
            else:
                self._request(event, now)
        elif isinstance(event, BodyCame):
            self._body_came(event)
        elif isinstance(event, StreamReset):
            self._gone(event.stream.number)
        elif isinstance(event, GoawaySeen):
            self._heard = True

    def _request(self, event: RequestCame, now: float) -> None:
        """Make an exchange of a request."""
        context, stream = self.context, event.stream
        peer = self.peer
        if peer is None:
            peer = self.peer = self._meet()
        try:
            if event.fields is None:
                raise ClientError("the request head is too large", 431)
            passed = read_request(event.fields, event.ended, peer, context.limits, context.rules)
        except MalformedFields:
            self.connection.reset(stream, ErrorCode.PROTOCOL_ERROR, now)
            return
        except ClientError as error:
            request = unreadable_request(event.fields or [], peer.address, context.rules.ids.make())
            served = self.served[stream.number] = ServedRequest(self, stream, request, now)
            refuse(served.client_stream, error)
            return
        served = self.served[stream.number] = ServedRequest(self, stream, passed.head, now)
        if passed.for_us:
            answer_for_all(served.client_stream)
        elif event.ended:
            served.begin(now)
        else:
            served.expect_body()
            self._begun.append(served)

    def _begin_bodies(self, now: float) -> None:
        """What came with the heads of requests has been read."""
        if self._begun:
            begun, self._begun = self._begun, []
            for served in begun:
                if self.served.get(served.stream.number) is served:
                    served.begin(now)

    def _body_came(self, event: BodyCame) -> None:
        served = self.served.get(event.stream.number)
        if served is None:
            self._body_of_later(event)
            return
        trailers = event.trailers
        if trailers:
            try:
                trailers = read_trailers(trailers, self.context.rules, self.context.limits)
            except MalformedFields:
                self.malformed(served)
                return
        served.body_came(event.data, event.ended, trailers)

    def _body_of_later(self, event: BodyCame) -> None:
        """
        The body of a request that waits for its turn.

        It is to be sent when the guest takes it; what a client sends at once is refused.
        """
        for waits in self._later:
            if waits.stream is event.stream:
                self._later.remove(waits)
                now = self.context.monotonic()
                self._request(waits, now)
                self._body_came(event)
                break

    # What a request asks for.

    def wrote(self) -> None:
        """Something waits to be sent: send it when the turn is over."""
        if not self._turns and not self._flush_called:
            self._flush_called = True
            self.call_flush()

    def call_flush(self) -> None:
        """Have L{flush_called} called before the reactor sleeps."""
        self.context.clock.callLater(0, self.flush_called)

    def flush_called(self) -> None:
        """The turn is over."""
        self._flush_called = False
        self._look_at_state()
        self.flush()

    def malformed(self, served: ServedRequest) -> None:
        """What the client sends of C{served} is not HTTP."""
        self._reset(served, ErrorCode.PROTOCOL_ERROR)

    def refuse(self, served: ServedRequest, error: ClientError) -> None:
        """The body of C{served} can't be had: answer that."""
        served.over()
        refuse(served.client_stream, error)

    def break_off_stream(self, served: ServedRequest) -> None:
        """The answer can't be completed: let the client see that."""
        self._reset(served, ErrorCode.INTERNAL_ERROR)

    def _reset(self, served: ServedRequest, code: ErrorCode) -> None:
        try:
            self.connection.reset(served.stream, code, self.context.monotonic())
        except Http2Error as error:
            self.fail_connection(error)
            return
        self._gone(served.stream.number)
        self.wrote()

    def _gone(self, number: int) -> None:
        """A stream was reset, by whichever side."""
        served = self.served.pop(number, None)
        if served is None:
            for waits in self._later:
                if waits.stream.number == number:
                    self._later.remove(waits)
                    break
            return
        self._cancel(served)

    def _cancel(self, served: ServedRequest) -> None:
        """Nobody waits for an answer."""
        client_stream = served.client_stream
        served.over()
        if client_stream.status == 0:
            client_stream.status = ClientGone.status
        if client_stream.answer is not ResponseState.DONE:
            client_stream.answer = ResponseState.DONE
            if client_stream.exchange is not None:
                client_stream.exchange.cancel(ClientGone())
        self._log(served)

    def _cancel_all(self) -> None:
        served = list(self.served.values())
        self.served.clear()
        self._later.clear()
        self._begun.clear()
        for each in served:
            self._cancel(each)

    def _log(self, served: ServedRequest) -> None:
        client_stream = served.client_stream
        exchange, client_stream.exchange = client_stream.exchange, None
        if exchange is not None:
            context = self.context
            context.log.exchangeEnded(
                client_stream.record(exchange, context.monotonic(), self.close_reason)
            )

    # Bytes go.

    def flush(self) -> None:
        """Write what waits, as far as the client takes it."""
        if self._turns:
            return
        self._turns += 1
        try:
            connection = self.connection
            sender = connection.sender
            while sender.pending(self.writable) and not self._over:
                data = sender.take(A_WRITE if self.writable else 0)
                if data:
                    self.write(data)
                self._settle()
            if self._later and sender.waiting <= MOST_WAITING and not self._over:
                self._go_on()
        finally:
            self._turns -= 1

    def _settle(self) -> None:
        """What was sent whole is over; of what was sent in part more may come."""
        connection = self.connection
        for stream in connection.sent():
            served = self.served.get(stream.number)
            if served is not None:
                self._log(served)
                served.over()
                if stream.client_sends:
                    served.due = self.context.monotonic() + self.context.limits.linger
                else:
                    del self.served[stream.number]
        moved, connection.sender.moved = connection.sender.moved, []
        for stream in moved:
            served = self.served.get(stream.number)
            if served is not None and served.writable:
                served.client_stream.drained()

    def _go_on(self) -> None:
        """Requests that waited have their turn."""
        now = self.context.monotonic()
        try:
            while self._later and self.connection.sender.waiting <= MOST_WAITING:
                event = self._later.popleft()
                if event.stream.number in self.connection.streams:
                    self._request(event, now)
        except Http2Error as error:
            self.fail_connection(error)
            return
        self._begin_bodies(now)
        self.wrote_later()

    def wrote_later(self) -> None:
        """As L{wrote}, in the middle of a turn."""
        if not self._flush_called:
            self._flush_called = True
            self.call_flush()

    # Time passes.

    def _look_at_state(self) -> None:
        """What the connection waits for may have changed."""
        if self._over:
            return
        connection, limits = self.connection, self.context.limits
        counts = connection.counts
        if counts.open:
            if self.state is ConnectionState.IDLE:
                self.go(ConnectionState.ANSWERING)
                self.due = NEVER
        elif self.state is ConnectionState.ANSWERING:
            self.go(ConnectionState.IDLE)
            self.takes = None
            self.wait(GOING_GRACE if self._going is not None else limits.keepalive_timeout)
        waits = not connection.greeted or connection.partial
        if waits != self._head_waits:
            self._head_waits = waits
            if waits:
                self.wait(limits.header_timeout)
            elif self.state is ConnectionState.IDLE:
                self.wait(limits.keepalive_timeout)
            else:
                self.due = NEVER
        if self._going is None:
            if self.context.status.draining:
                self._go_away(CloseReason.DRAINING)
            elif counts.requests >= limits.requests:
                self._go_away(CloseReason.LAST_ANSWER)
        elif self._heard and not counts.open:
            self._finish()
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Have the sweeper look when the deadline passes; at every sweep while requests are."""
        self.deadline = 0.0 if self.served or not self.writable else self.due

    def deadline_passed(self, now: float) -> None:
        """The sweeper looks: who took too long?"""
        limits, takes = self.context.limits, self.takes
        if (
            takes is not None
            and (self.state is ConnectionState.OVER or not self.writable)
            and takes.exceeded(
                now, bytes_taken(self.transport) or 0, limits.body_grace, limits.body_rate
            )
        ):
            self.close(CloseReason.SLOW_READER)
        elif now >= self.due:
            self.due = NEVER
            self.late()
        if not self._over:
            try:
                for served in list(self.served.values()):
                    self._look_at(served, now)
            except Http2Error as error:
                self.fail_connection(error)
                return
            self._look_at_state()
            self.flush()

    def _look_at(self, served: ServedRequest, now: float) -> None:
        """
        Whether one request took too long.

        @raise Http2Error: that was once too often.
        """
        stream, client_stream, limits = served.stream, served.client_stream, self.context.limits
        if now >= served.due:
            served.due = NEVER
            if not stream.we_send:
                # The rest of a body behind an early answer, which was taken long ago.
                self._reset(served, ErrorCode.NO_ERROR)
            elif client_stream.exchange is not None:
                client_stream.exchange.fail(GuestSlow())
            return
        if served.too_slow(now):
            self.refuse(served, RequestTimeout("the request body came too slowly"))
            return
        takes = served.takes
        if stream.waiting and (stream.room <= 0 or self.connection.counts.room <= 0):
            takes.start(now)
            if takes.exceeded(now, stream.sent, limits.body_grace, limits.body_rate):
                self._guard.happened(Flood.STALLED, now)
                self._reset(served, ErrorCode.ENHANCE_YOUR_CALM)
        else:
            takes.stop(now)

    def slow(self) -> None:
        """Never called: the bodies of streams are looked at one by one."""

    def late(self) -> None:
        """The deadline of the state has passed."""
        if self.state is ConnectionState.LINGERING:
            self.close(CloseReason.LINGER_TIMEOUT)
        elif self._head_waits:
            self.fail_connection(Http2Error(ErrorCode.PROTOCOL_ERROR, "it came too slowly"))
        elif self._going is not None:
            self._finish()
        else:
            self._go_away(CloseReason.KEEPALIVE_TIMEOUT)

    # The connection ends.

    def close_if_idle(self) -> None:
        """Close the connection when what is under way is answered."""
        if not self._over and self._going is None:
            self._go_away(CloseReason.DRAINING)
            self.flush()

    def _go_away(self, reason: CloseReason) -> None:
        """
        Begin to end the connection, for C{reason}.

        A GOAWAY that covered a request under way would make httpx, undici and Java's client fail
        it. So the first one covers all, the real one comes when nothing is open.
        """
        self._going = reason
        self.connection.go_away()
        if not self.connection.counts.open:
            self.wait(GOING_GRACE)

    def _finish(self) -> None:
        """Nothing is open, and the client knows, or could."""
        reason = self._going
        assert reason is not None
        self.connection.finish()
        self._write_control()
        self.close(reason)

    def fail_connection(self, error: Http2Error) -> None:
        """The client broke a rule: tell it which, and close."""
        if self._over:
            return
        self.connection.fail(error)
        self._write_control()
        self.close_reason = self.close_reason or CloseReason.HTTP2_ERROR
        self._cancel_all()
        self.close(CloseReason.HTTP2_ERROR)

    def _write_control(self) -> None:
        """Write what belongs to no stream."""
        data = self.connection.sender.take(0)
        if data:
            self.write(data)

    @property
    def _may_be_sending(self) -> bool:
        """The client may still be sending: it is about to hear that it should not."""
        return not self.half_closed and self.close_reason is CloseReason.HTTP2_ERROR
