"""
One request on a connection of HTTP/2: where its answer goes, and where its body comes from.

To its L{ClientStream} it is a connection, and the source of the request's body; the connection
itself it knows as an L{IHttp2Shell}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Protocol

from subproxy.core.exchange import Exchange, Headers
from subproxy.core.fast_enum import fast_enum
from subproxy.core.http.request import RequestHead
from subproxy.core.sites.site_rules import SiteRules
from subproxy.errors import ClientError
from subproxy.frontend.client_stream import ResponseState
from subproxy.frontend.client_tunnel import ClientTunnel, TunnelStream
from subproxy.frontend.context import FrontendContext
from subproxy.frontend.deadlines import NEVER, MinDataRate
from subproxy.frontend.http2.answer import Http2ClientStream
from subproxy.frontend.http2.body_framing import StreamBody
from subproxy.frontend.http2.bounds import LEAST_READ, MOST_READ, MOST_WAITING
from subproxy.frontend.http2.connection import Http2Connection
from subproxy.frontend.http2.response_encoder import HeaderBlock, Http2Encoder, TrailerBlock
from subproxy.frontend.http2.stream import Http2Stream
from subproxy.frontend.http2.stream_tunnel import StreamTunnel
from subproxy.frontend.request_body_buffer import RequestBodyBuffer
from subproxy.telemetry.close_reason import CloseReason

_LOW = 16_384
"""Bytes of an answer that wait on a stream, below which its guest may send more."""


@fast_enum
class Late(Enum):
    """What of a request took too long."""

    REST = auto()
    """The end of its body, behind an early answer, which was taken long ago."""
    ANSWER = auto()
    """Its answer."""
    BODY = auto()
    """Its body, which comes too slowly."""
    TUNNEL = auto()
    """The next byte of a tunnel, in either direction."""
    WINDOW = auto()
    """The windows for its answer, which the client opens too slowly."""


class IHttp2Shell(Protocol):
    """
    The connection, as a request on it sees it.

    @ivar connection: its machine.
    """

    context: FrontendContext
    connection: Http2Connection

    def wrote(self) -> None:
        """Something waits to be sent."""

    def malformed(self, served: ServedRequest) -> None:
        """What the client sends of C{served} is not HTTP."""

    def refuse(self, served: ServedRequest, error: ClientError) -> None:
        """The body of C{served} can't be had: answer that."""

    def tunnel_over(self, served: ServedRequest) -> None:
        """Both halves of a tunnel have ended, ours first."""

    def break_off_stream(self, served: ServedRequest) -> None:
        """The answer can't be completed: let the client see that."""

    def close(self, reason: CloseReason) -> None:
        """Close the connection."""


class ServedRequest:
    """
    See above.

    @ivar stream: the stream.
    @ivar client_stream: the answer.
    @ivar tunnel: what its stream is, if a tunnel was asked for.
    @ivar due: when it has taken too long (monotonic seconds).
    @ivar body_since: since when its body is waited for, if that was before Python had it.
    """

    __slots__ = (
        "_body",
        "_framing",
        "_received",
        "_rest_until",
        "_shell",
        "_takes",
        "_trailers",
        "body_since",
        "client_stream",
        "due",
        "stream",
        "tunnel",
        "waits",
    )

    def __init__(
        self,
        shell: IHttp2Shell,
        stream: Http2Stream,
        request: RequestHead,
        now: float,
        rules: SiteRules | None = None,
    ) -> None:
        self._shell = shell
        self.stream = stream
        self.client_stream = Http2ClientStream(
            self, shell.context, Http2Encoder(stream), request, True, now, rules
        )
        self.client_stream.most_fields = shell.connection.peer_list_size
        self.client_stream.hold = self._hold
        self.due = self.body_since = NEVER
        self._takes = MinDataRate()  # at which the client opens windows
        self.tunnel: StreamTunnel | None = None
        self._framing: StreamBody | None = None
        self._body: RequestBodyBuffer | None = None
        self._trailers: bytes | None = None
        self._received = 0  # at the last look behind an early answer
        self._rest_until = NEVER
        self.waits = False

    def _hold(self, more: int) -> None:
        self._shell.connection.sender.hold(self.stream, more)

    # The request.

    def expect_body(self, most: int) -> None:
        """The request has a body, which is to come: C{most} bytes of it, or 0 for no limit."""
        framing = StreamBody(self.client_stream.request.length, most)
        self._framing = framing
        self._body = RequestBodyBuffer(framing, b"")
        self.client_stream.body_source = self

    def begin(self, now: float) -> None:
        """What came with the head is here: dispatch the request, or collect its body first."""
        framing, body = self._framing, self._body
        if framing is None:
            self.dispatch(b"")
            return
        if body is None or self.client_stream.exchange is not None:
            # It was refused, or it was whole.
            return
        request, inline = self.client_stream.request, self._shell.context.limits.inline
        if (
            not framing.complete
            and request.length is not None
            and request.length <= inline
            and not request.expect
            and framing.left <= self.stream.window
        ):
            body.pace.start(min(now, self.body_since))
        else:
            self.dispatch(None)

    def stop_collecting(self, now: float) -> int:
        """Have a body that is collected go as it comes; return how many bytes of it are here."""
        body, held = self._body, self.stream.held
        if body is None or self.client_stream.exchange is not None:
            return 0
        if not held or not body.pace.started:
            return 0
        body.pace.stop(now)
        self.dispatch(None)
        return held

    def ask_for_tunnel(self) -> None:
        """The request is an extended CONNECT: what follows on its stream is no body."""
        self.tunnel = StreamTunnel(self._shell, self.stream)
        self.dispatch(b"")

    @property
    def _rides_along(self) -> bool:
        """The body is whole, and small enough to go in one piece with the head."""
        framing = self._framing
        return (
            framing is not None
            and framing.complete
            and framing.size <= self._shell.context.limits.inline
            and not framing.trailers
        )

    def _dispatch_whole(self) -> None:
        body, framing = self._body, self._framing
        assert body is not None
        assert framing is not None
        self._body = self.client_stream.body_source = None
        self.client_stream.request.length = framing.size
        data = body.held()
        self._shell.connection.consumed(self.stream, self.stream.held)
        self.dispatch(data)

    def dispatch(self, body: bytes | None) -> None:
        """Have it answered; with a body of None, that is still to come."""
        context = self._shell.context
        client_stream = self.client_stream
        exchange = Exchange(client_stream.request, body, client_stream, context.dispatcher)
        client_stream.exchange = exchange
        self.due = context.monotonic() + self.client_stream.response_timeout
        context.dispatcher.dispatch(exchange)

    def body_came(self, data: bytes, ended: bool, trailers: Headers) -> None:
        """Some of the body came, and perhaps its end."""
        if self.tunnel is not None:
            self.tunnel.came(data, ended)
            return
        framing, body = self._framing, self._body
        if framing is None or body is None:
            return
        try:
            body.take(data)
        except ClientError as error:
            self._shell.refuse(self, error)
            return
        framing.complete = ended
        framing.trailers = trailers
        if not framing.agrees:
            self._shell.malformed(self)
            return
        self.client_stream.body_came()
        if self.client_stream.exchange is not None:
            self._pass_on()
        elif self._rides_along:
            self._dispatch_whole()
        elif ended and body.pace.started:
            self.dispatch(None)  # it has trailers
        elif framing.left > self.stream.window:
            self.stop_collecting(self._shell.context.monotonic())  # it is padded

    def _pass_on(self) -> None:
        """Give the guest what is held of the body, as far as it takes it, and the end."""
        body, framing, exchange = self._body, self._framing, self.client_stream.exchange
        if body is None or framing is None or exchange is None:
            return
        context = self._shell.context
        whole = body.pass_on(exchange)
        if body.flows or self._body is not body:
            self._shell.connection.consumed(self.stream, self.stream.held)
            self._shell.wrote()
        if framing.complete:
            body.pace.stop(context.monotonic())
            if self.client_stream.answer is ResponseState.WAITING:
                self.due = context.monotonic() + self.client_stream.response_timeout
        if whole and self._body is body:
            self._body = self.client_stream.body_source = None
            exchange.request_end(framing.trailers)

    def over(self) -> None:
        """Its body is wanted no more."""
        self._body = self.client_stream.body_source = None
        if self.tunnel is not None:
            self.tunnel.over()

    def forget(self) -> None:
        """
        It is over, and nobody asks for its answer any more.

        That knows this one as its connection: left to the collector, some ten objects of each
        request would be looked for, for milliseconds, as soon as there are ten thousand of them.
        """
        del self.client_stream

    def late(self, now: float) -> Late | None:
        """What took too long, if anything did; told once."""
        stream, shell = self.stream, self._shell
        limits = shell.context.limits
        if self.tunnel is not None and self.tunnel.lasts:
            return Late.TUNNEL if now >= self.tunnel.due else None
        if now >= self.due:
            if not stream.we_send and self._still_sends(now):
                return None
            self.due = NEVER
            return Late.ANSWER if stream.we_send else Late.REST
        if self.too_slow(now):
            return Late.BODY
        takes = self._takes
        if not stream.waiting or (stream.room > 0 and shell.connection.counts.room > 0):
            takes.stop(now)
            return None
        takes.start(now)
        slow = takes.exceeded(now, stream.sent, limits.body_grace, limits.body_rate)
        return Late.WINDOW if slow else None

    def answered_early(self, now: float) -> None:
        """The answer was sent before all of the body came: see how long that goes on."""
        limits = self._shell.context.limits
        self._rest_until = now + limits.response_timeout
        self._received = self.stream.received
        self.due = now + limits.linger

    def _still_sends(self, now: float) -> bool:
        """More of the body came since the last look, and it may go on."""
        before, self._received = self._received, self.stream.received
        if before == self._received or now >= self._rest_until:
            return False
        self.due = now + self._shell.context.limits.linger
        return True

    # IBodySource.

    @property
    def complete(self) -> bool:
        """All of the body was read."""
        return self._body is None or self._body.complete

    def too_slow(self, now: float) -> bool:
        """See C{RequestBodyBuffer.is_late}."""
        body, limits = self._body, self._shell.context.limits
        return body is not None and body.is_late(now, self.client_stream, limits)

    def restart_pace(self, started: float) -> None:
        """The client has been waited for since C{started}, and owes nothing from before."""
        if self._body is not None:
            self._body.pace = MinDataRate()
            self._body.pace.start(started)

    def came(self, data: bytes) -> None:
        """Bytes came: see L{body_came}."""
        self.body_came(data, False, [])

    def wait(self) -> None:
        """Nothing is held that was not read."""

    def pause(self) -> None:
        """The guest takes no more body for now: its window is not opened."""
        body = self._body
        if body is not None and body.flows:
            context = self._shell.context
            body.flows = False
            body.pace.stop(context.monotonic())
            if self.client_stream.answer is ResponseState.WAITING:
                self.due = context.monotonic() + self.client_stream.response_timeout

    def resume(self) -> None:
        """The guest takes body."""
        body = self._body
        if body is None or body.flows:
            return
        body.flows = True
        self._pass_on()
        if body.flows and self._body is body and not body.complete:
            body.pace.start(self._shell.context.monotonic())
            self.due = NEVER

    def lend(self, least: int, then: Callable[[int, int], None]) -> bool:
        """A stream has no socket of its own to lend."""
        return False

    def moved(self, amount: int) -> None:
        """Nothing is lent."""

    def stalled(self, stalled: bool) -> None:
        """Nothing is lent."""

    def returned(self) -> None:
        """Nothing is lent."""

    # IClientConnection.

    lendable = False

    @property
    def read_size(self) -> int:
        """Bytes of a body that may be read of its guest at once: fewer, the more streams are."""
        share = MOST_WAITING // max(1, self._shell.connection.counts.open)
        return max(LEAST_READ, min(share, MOST_READ))

    @property
    def writable(self) -> bool:
        """The client takes what is written."""
        return self.stream.waiting < _LOW

    def write(self, data: bytes) -> None:
        """Send C{data}: fields, or some of the body."""
        stream = self.stream
        if not stream.we_send:
            return
        sender = self._shell.connection.sender
        if isinstance(data, TrailerBlock):
            self._trailers = data
        elif isinstance(data, HeaderBlock):
            sender.block(stream, data)
        else:
            sender.data(stream, data)
        self._shell.wrote()

    def writeSequence(self, pieces: Sequence[bytes]) -> None:
        """Send them all."""
        for piece in pieces:
            self.write(piece)

    def may_stay(self, keep_alive: bool) -> bool:
        """Streams end alone."""
        return True

    def response_begins(self) -> float:
        """A response head is about to be written; returns the time."""
        self.due = NEVER
        return self._shell.context.monotonic()

    def stream_begins(self) -> bool:
        """The head of a streamed answer is about to be written: false if nobody wants it."""
        return self.stream.we_send

    def tunnel_starts(self) -> bool:
        """A tunnel is about to start: false if nobody wants it."""
        return self.stream.we_send

    def tunnel_started(self, stream: TunnelStream) -> ClientTunnel:
        """The client has been told that C{stream} is one: what it sends is for the guest."""
        assert self.tunnel is not None
        return self.tunnel.start(stream)

    def abandon(self) -> None:
        """The tunnel has been idle for too long."""
        if self.tunnel is not None:
            self.tunnel.abandon()

    def stream_wrote(self) -> None:
        """Some of a streamed answer was written."""
        if self.tunnel is not None and self.tunnel.lasts:
            self.tunnel.keep_tunnel()

    def answered(self, stream: object, stays: bool) -> None:
        """The answer was written whole; it is over when the client has its end."""
        if self.stream.we_send:
            self._shell.connection.end(self.stream, self._trailers)
            self._shell.wrote()
        elif self.tunnel is not None:
            self._shell.tunnel_over(self)

    def break_off(self) -> None:
        """The answer can't be completed: let the client see that."""
        self._shell.break_off_stream(self)

    def lendSending(self, then: Callable[[int], None]) -> bool:
        """A stream has no socket of its own to lend."""
        return False

    def pauseProducing(self) -> None:
        """Nothing is lent."""

    def resumeProducing(self) -> None:
        """Nothing is lent."""

    def close(self, reason: CloseReason) -> None:
        """Close the connection."""
        self._shell.close(reason)
