"""
A connection whose TLS is a guest's: its bytes go there and back as they are.

It is one exchange, and asks for a tunnel (docs/protocol.md, "Pass-through"). Until a guest has
taken it the client waits for an answer to its ClientHello, which is held; where there is no such
answer, it gets an alert instead. Nothing here has a key.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.exchange import Exchange, Headers, RequestHead, ResponseHead
from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.host_names import HostNames
from subproxy.core.http.upgrade import PASSTHROUGH, Upgrade
from subproxy.errors import GuestSlow
from subproxy.frontend.client_stream import ClientStream
from subproxy.frontend.client_tunnel import ClientTunnel, TunnelStream
from subproxy.frontend.connection import ClientConnection
from subproxy.frontend.connection_state import ConnectionState
from subproxy.frontend.context import FrontendContext
from subproxy.frontend.deadlines import NEVER
from subproxy.relay.receiving import ReceivingState
from subproxy.telemetry.close_reason import CloseReason

HTTPS_PORT: Final = 443
"""The port of a target where the client came to none, but to a UNIX socket."""

_FATAL: Final = b"\x15\x03\x03\x00\x02\x02"
_ACCESS_DENIED: Final = b"\x31"
_UNRECOGNIZED_NAME: Final = b"\x70"
_INTERNAL_ERROR: Final = b"\x50"
_ALERTS: Final = {
    403: _ACCESS_DENIED,
    404: _UNRECOGNIZED_NAME,
    429: _ACCESS_DENIED,
}


def alert(status: int) -> bytes:
    """The record that says in TLS what C{status} says in HTTP (RFC 8446 section 6.2)."""
    return _FATAL + _ALERTS.get(status, _INTERNAL_ERROR)


class PassthroughEncoder:
    """
    What is said to the client: nothing of the proxy's own, unless nobody takes its connection.

    See L{subproxy.frontend.interfaces.IResponseEncoder}.
    """

    __slots__ = ("has_body",)

    supports_interim = False
    stays = False
    plain = False

    def __init__(self) -> None:
        self.has_body = False

    def interim(self, status: int, headers: Headers) -> bytes:
        """Nothing."""
        return b""

    def start(
        self,
        head: ResponseHead,
        body: bytes | None,
        may_stay: bool,
        request_id: bytes,
        date: bytes,
    ) -> list[bytes]:
        """An alert: it was refused."""
        return [alert(head.status)]

    def change_protocol(
        self,
        head: ResponseHead,
        upgrade: Upgrade | None,
        protocol: bytes,
        request_id: bytes,
        date: bytes,
    ) -> tuple[int, bytes]:
        """Nothing: the guest says it all."""
        self.has_body = True
        return 200, b""

    @property
    def changed(self) -> PassthroughEncoder:
        """The same."""
        return self

    def data(self, data: bytes) -> list[bytes]:
        """What the guest says."""
        return [data]

    def end(self, trailers: Headers) -> bytes:
        """Nothing."""
        return b""


@implementer(IHalfCloseableProtocol, IPushProducer)
class PassthroughConnection(ClientConnection):
    """
    One connection from its ClientHello on, which is to be given to C{dataReceived} first.

    @param name: the host that the client asks for (SNI).
    @param version: the newest version of TLS that it offers.
    @ivar client_stream: its exchange; None when that is over.
    """

    def __init__(self, context: FrontendContext, name: bytes, version: bytes) -> None:
        super().__init__(context)
        self.client_stream: ClientStream | None = None
        self._tls = ClientTls(HostNames(()), name)
        self._tls.version = version
        self._name = name

    @property
    def busy(self) -> bool:
        """It is under way."""
        return self.client_stream is not None

    # IProtocol and IHalfCloseableProtocol.

    def connectionMade(self) -> None:
        """A client has named the host of a guest with keys."""
        if self.opened():
            self.go(ConnectionState.ANSWERING)

    def dataReceived(self, data: bytes) -> None:
        """Bytes came from the client."""
        if self.state is ConnectionState.ANSWERING:
            self.held += data
            if self.client_stream is None:
                self._ask()
            else:
                self.pause_reading()
        elif self.tunnel is not None and self.in_tunnel:
            if self.held:
                self.held += data
            else:
                self.keep_tunnel()
                self.tunnel.came(data)

    def _ask(self) -> None:
        """Ask for a guest."""
        context = self.context
        peer = self.peer or self._meet()
        port = getattr(self.transport.getHost(), "port", HTTPS_PORT)
        request = RequestHead(
            b"CONNECT",
            b"%b:%d" % (self._name, port),
            self._name,
            b"/",
            [],
            client=peer.address,
            scheme=b"https",
            version=b"",
            request_id=context.rules.ids.make(),
            upgrade=PASSTHROUGH,
            tls=self._tls,
        )
        client_stream = self.client_stream = ClientStream(
            self, context, PassthroughEncoder(), request, False, context.monotonic()
        )
        exchange = client_stream.exchange = Exchange(
            request, b"", client_stream, context.dispatcher
        )
        self.wait(context.limits.response_timeout)
        context.dispatcher.dispatch(exchange)

    def readConnectionLost(self) -> None:
        """The client will send no more: without a handshake it wants nothing more, either."""
        self.receive(ReceivingState.ENDED)
        if self.state is ConnectionState.ANSWERING or self.state is ConnectionState.LINGERING:
            self.close(CloseReason.CLIENT_DONE)
        elif self.tunnel is not None and self.in_tunnel:
            self._pass_held()
            self.tunnel.client_ended()

    def fin_came(self) -> None:
        """See L{ClientConnection}."""
        if not self.in_tunnel:
            self.close(CloseReason.CLIENT_DONE)

    def writeConnectionLost(self) -> None:
        """Our own half of the connection is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone, or was sent away."""
        self.transport_lost()
        self.held = b""
        self.sending.void()
        client_stream, self.client_stream = self.client_stream, None
        if client_stream is not None:
            client_stream.client_gone()
            client_stream.log(self.close_reason)

    def drained(self) -> None:
        """See L{ClientConnection}."""
        self._look_ahead()
        if self.client_stream is not None:
            self.client_stream.drained()
        self.sending.resumed(self.transport)

    # IClientConnection.

    def may_stay(self, keep_alive: bool) -> bool:
        """It was for this alone."""
        return False

    def response_begins(self) -> float:
        """A guest has taken it, or nobody does; returns the time."""
        self.due = NEVER
        self._look_ahead()
        return self.context.monotonic()

    def stream_begins(self) -> bool:
        """Whether anybody wants to hear that it was refused."""
        return self.state is not ConnectionState.OVER

    def stream_wrote(self) -> None:
        """Some of what the guest says was written; or how it has refused, whatever else it says."""
        if self.tunnel is not None:
            self.keep_tunnel()
        else:
            self.close(CloseReason.LAST_ANSWER)

    def tunnel_starts(self) -> bool:
        """A guest takes it: false if the client has left."""
        return self.state is ConnectionState.ANSWERING

    def tunnel_started(self, stream: TunnelStream) -> ClientTunnel:
        """See L{ClientConnection}: what is held goes first, as soon as who starts it knows."""
        tunnel = super().tunnel_started(stream)
        self.context.clock.callLater(0, self._pass_held)
        return tunnel

    def _ended_early(self, tunnel: ClientTunnel) -> None:
        self._pass_held()
        super()._ended_early(tunnel)

    def _pass_held(self) -> None:
        """Give the guest what the client has said before."""
        held, self.held = self.held, b""
        if held and self.tunnel is not None and self.in_tunnel:
            self.tunnel.came(held)

    def answered(self, stream: object, stays: bool) -> None:
        """Both halves have ended, or nobody has taken it."""
        client_stream, self.client_stream = self.client_stream, None
        if client_stream is None:
            return
        client_stream.log(self.close_reason)
        self.tunnel = self.takes = None
        # Behind an alert it closes already, whatever else its guest has to say.
        if self.state is not ConnectionState.OVER and self.state is not ConnectionState.LINGERING:
            self.close(CloseReason.LAST_ANSWER)

    # The connection.

    def close_if_idle(self) -> None:
        """It is never idle: it ends with its tunnel."""

    def slow(self) -> None:
        """No pace is kept."""

    def late(self) -> None:
        """Nobody has taken it in time."""
        if self.state is ConnectionState.LINGERING:
            self.lingered()
        elif self.client_stream is not None and self.client_stream.exchange is not None:
            self.client_stream.exchange.fail(GuestSlow())
