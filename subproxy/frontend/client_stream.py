"""
One exchange of a client: the frontend's side of it, in whatever HTTP version.

It writes what a guest says, as the encoder of its version has it, and keeps what the access log
wants to know of it. It decides nothing about the connection.

Compiled a second time: L{subproxy.fastpath._tunnel_channel},
L{subproxy.fastpath._answer_channel} and L{subproxy.fastpath._tunnelling_connection} (see
L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from enum import Enum, auto

from zope.interface import implementer

from subproxy.core.exchange import Exchange, Headers, RequestHead, ResponseHead
from subproxy.core.fast_enum import fast_enum
from subproxy.core.interfaces import IResponseSink
from subproxy.core.sites.site_rules import SiteRules
from subproxy.errors import ClientError, ClientGone, ProxyError
from subproxy.frontend.client_socket import ClientSocket
from subproxy.frontend.client_tunnel import ClientTunnel
from subproxy.frontend.context import FrontendContext
from subproxy.frontend.error_pages import error_page
from subproxy.frontend.interfaces import IBodySource, IClientConnection, IResponseEncoder
from subproxy.frontend.tunnel_socket import TunnelSocket
from subproxy.telemetry.close_reason import CloseReason
from subproxy.telemetry.exchange_record import ExchangeRecord
from subproxy.telemetry.log_format import logged_fields


@fast_enum
class ResponseState(Enum):
    """Where an answer is in its life; it only goes forward."""

    WAITING = auto()
    """Nothing of the final response has been written."""
    STREAMING = auto()
    """Its head has been written; its body is being written."""
    DONE = auto()
    """It was written whole, or never will be."""


@implementer(IResponseSink)
class ClientStream:
    """
    The response sink of one request.

    @ivar request: the request.
    @ivar exchange: its exchange, until it is logged.
    @ivar body_source: what reads the body of the request, while there is some to come.
    @ivar tunnel: what it has become, if it is no answer like any other.
    @ivar keep_alive: the client wants the connection to stay.
    @ivar answer: how far it is.
    @ivar status: the status that was sent; 0 before; 499 if the client left before it.
    @ivar rules: those of its site, if it has one.
    @ivar sent: bytes of body that were written, without framing.
    @ivar started: when the request began (monotonic seconds), as is C{first_byte}.
    @ivar first_byte: when the response head was written; 0 if it never was.
    """

    __slots__ = (
        "_connection",
        "_context",
        "_encoder",
        "_expects",
        "_late",
        "_owed",
        "answer",
        "body_source",
        "exchange",
        "first_byte",
        "keep_alive",
        "request",
        "rules",
        "sent",
        "started",
        "status",
        "tunnel",
    )

    def __init__(
        self,
        connection: IClientConnection,
        context: FrontendContext,
        encoder: IResponseEncoder,
        request: RequestHead,
        keep_alive: bool,
        started: float,
        rules: SiteRules | None = None,
    ) -> None:
        self._connection = connection
        self._context = context
        self._encoder = encoder
        self._expects = request.expect
        self._late = bytearray()
        self._owed = 0
        self.request = request
        self.rules = rules
        self.exchange: Exchange | None = None
        self.body_source: IBodySource | None = None
        self.tunnel: ClientTunnel | None = None
        self.keep_alive = keep_alive
        self.answer = ResponseState.WAITING
        self.status = 0
        self.sent = 0
        self.started = started
        self.first_byte = 0.0

    # IResponseSink.

    @property
    def supports_interim(self) -> bool:
        """The client understands interim responses."""
        return self._encoder.supports_interim

    def interimReceived(self, status: int, headers: Headers) -> int:
        """Pass an interim response on; but ask for a body only once, and only who expects that."""
        if self.answer is not ResponseState.WAITING:
            return 0
        if status == 100:
            self._ask_for_body()  # it is read when there is a way for it: by credit, or a claim
            return 0
        connection = self._connection
        data = self._encoder.interim(status, headers)
        connection.write(data)
        return 0 if connection.writable else len(data)

    def responseStarted(self, head: ResponseHead, body: bytes | None) -> None:
        """Write the head, and the body if it is here."""
        if self.answer is not ResponseState.WAITING:
            return
        connection = self._connection
        if body is None and not connection.stream_begins():
            return
        encoder = self._encoder
        pieces = encoder.start(
            head,
            body,
            connection.may_stay(self.keep_alive),
            self.request.request_id,
            self._context.status.date,
        )
        self.status = head.status
        self.first_byte = connection.response_begins()
        if body is not None and encoder.has_body:
            self.sent = len(body)
        if len(pieces) == 1:
            connection.write(pieces[0])
        else:
            connection.writeSequence(pieces)
        if body is None:
            self.answer = ResponseState.STREAMING
            connection.stream_wrote()
        else:
            self._finish()

    def tunnelStarted(self, head: ResponseHead, protocol: bytes) -> None:
        """Tell the client, and pass on what it sends."""
        connection, encoder = self._connection, self._encoder
        if self.answer is not ResponseState.WAITING or not connection.tunnel_starts():
            return
        request = self.request
        self.status, data = encoder.change_protocol(
            head, request.upgrade, protocol, request.request_id, self._context.status.date
        )
        self._encoder = encoder.changed
        self.first_byte = connection.response_begins()
        self.answer = ResponseState.STREAMING
        if data:
            connection.write(data)
        self.tunnel = connection.tunnel_started(self)
        # It may last, and nobody but the log asks for its request any more: a kilobyte.
        request.headers = logged_fields(request.headers)
        request.upgrade = None

    def bodyReceived(self, data: bytes) -> None:
        """
        Write some body; what it cost the guest's credit is given back when it has left.

        What the client does not take yet is collected, and becomes one piece: a window full of
        pieces of a byte each would cost a hundred times as much as it holds.
        """
        if self.answer is not ResponseState.STREAMING or not data:
            return
        self._owed += len(data)
        if not self._encoder.has_body:
            self.drained()
        elif self._connection.writable:
            self._put(data)
            if self._connection.writable:
                self.drained()
        else:
            self._late += data

    def _put(self, data: bytes) -> None:
        """Write some body."""
        connection = self._connection
        self.sent += len(data)
        pieces = self._encoder.data(data)
        if len(pieces) == 1:
            connection.write(pieces[0])
        else:
            connection.writeSequence(pieces)
        connection.stream_wrote()

    def _put_late(self) -> None:
        """Write what the client did not take when it came."""
        if self._late:
            late, self._late = bytes(self._late), bytearray()
            self._put(late)

    def responseEnded(self, trailers: Headers) -> None:
        """Write the end of the body."""
        if self.answer is not ResponseState.STREAMING:
            return
        self._put_late()
        if self.tunnel is not None:
            self.tunnel.guest_ended()
            return
        end = self._encoder.end(trailers)
        if end:
            self._connection.write(end)
        self._finish()

    def responseFailed(self, error: ProxyError) -> None:
        """Write an error page; or, if it is too late for one, break the connection off."""
        if self.answer is ResponseState.WAITING:
            if isinstance(error, ClientError):
                self.keep_alive = False
            self.responseStarted(*error_page(error, self.request.method, self.request.request_id))
        elif self.answer is ResponseState.STREAMING:
            self.answer = ResponseState.DONE
            self._connection.break_off()

    def client_gone(self) -> None:
        """Its client has left: nobody waits for what is not written yet."""
        if self.status == 0:
            self.status = ClientGone.status
        if self.answer is not ResponseState.DONE:
            self.answer = ResponseState.DONE
            if self.exchange is not None:
                self.exchange.cancel(ClientGone())

    def requestPaused(self) -> None:
        """Read no more of the request body."""
        source = self.body_source or self.tunnel
        if source is not None:
            source.pause()

    def requestResumed(self) -> None:
        """Read the request body."""
        self._ask_for_body()
        source = self.body_source or self.tunnel
        if source is not None:
            source.resume()

    def clientSocket(self) -> ClientSocket | TunnelSocket | None:
        """The socket, if it is a plain one."""
        if not self._connection.lendable:
            return None
        if self.tunnel is not None:
            return TunnelSocket(self._connection, self.tunnel, self)
        return ClientSocket(self._connection, self)

    @property
    def read_size(self) -> int:
        """See L{IResponseSink<subproxy.core.interfaces.IResponseSink>}."""
        return self._connection.read_size

    @property
    def plain(self) -> bool:
        """The body is written as it comes: by its length, without chunks."""
        return self.answer is ResponseState.STREAMING and self._encoder.plain

    @property
    def has_length(self) -> bool:
        """The client knows, or could, where the body ends: by its length, or there is none."""
        return self._encoder.plain or not self._encoder.has_body

    def resume(
        self, head: ResponseHead, stays: bool, date: bytes, first_byte: float, sent: int
    ) -> None:
        """
        Go on with a body of known length, whose head somebody else has written as we would have.

        @param stays: the client was told that the connection stays.
        @param date: of the head.
        @param first_byte: when it was written, in monotonic seconds.
        @param sent: bytes of the body that were written.
        """
        self._encoder.start(head, None, stays, self.request.request_id, date)
        self.status = head.status
        self.first_byte = first_byte
        self.sent = sent
        self.answer = ResponseState.STREAMING

    def resume_tunnel(self, tunnel: ClientTunnel, first_byte: float, sent: int, owed: int) -> None:
        """
        Go on with C{tunnel}, which somebody else has begun as we would have.

        @param first_byte: when its head was written, in monotonic seconds.
        @param sent: bytes of the guest's half that were written, of which so many are C{owed}.
        """
        self._encoder = self._encoder.changed
        self.status, self.answer = 101, ResponseState.STREAMING
        self.first_byte, self.sent, self._owed = first_byte, sent, owed
        self.request.headers = logged_fields(self.request.headers)
        self.tunnel = tunnel

    # What the connection calls.

    def tunnel_over(self) -> None:
        """Both halves of the tunnel have ended."""
        self._finish()

    @property
    def begun(self) -> bool:
        """The head of the answer was written."""
        return self.answer is not ResponseState.WAITING

    @property
    def response_timeout(self) -> float:
        """Seconds from the whole request to the head of its response."""
        rules = self.rules
        if rules is None or rules.response_timeout is None:
            return self._context.limits.response_timeout
        return rules.response_timeout

    def drained(self) -> None:
        """All that was written has left, or soon will: the guest may send as much again."""
        if self._late:
            self._put_late()
            if not self._connection.writable:
                return
        owed, self._owed = self._owed, 0
        if owed and self.exchange is not None:
            self.exchange.response_consumed(owed)

    def body_came(self) -> None:
        """The client sends its body without having been asked."""
        self._expects = False

    def log(self, close_reason: CloseReason | None) -> None:
        """
        Write down what is known of it now that the last byte has left, or never will; once.

        @param close_reason: why the connection closes, if it does already.
        """
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        ended = self._context.monotonic()
        self._context.log.exchangeEnded(
            ExchangeRecord(
                exchange, self.status, self.sent, self.started, self.first_byte, ended, close_reason
            )
        )

    def _ask_for_body(self) -> None:
        if self._expects and self.answer is ResponseState.WAITING:
            self._expects = False
            self._connection.write(self._encoder.interim(100, []))

    def _finish(self) -> None:
        self.answer = ResponseState.DONE
        self._connection.answered(self, self._encoder.stays)
