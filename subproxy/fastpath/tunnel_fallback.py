"""
From the compiled path to the Python path, with a tunnel: asked for, or begun.

As L{subproxy.fastpath.fallback}, which it uses: what Python would have of the same tunnel, had it
been its own from the start, is set up here. From then on its objects count what passes.
"""

from __future__ import annotations

from subproxy.core.exchange import ACCEPTED, Exchange, ExchangeState
from subproxy.core.http.upgrade import WEBSOCKET, Upgrade
from subproxy.fastpath.fallback import FallbackProtocol, begun_stream, idle
from subproxy.fastpath.interfaces import FallsBack
from subproxy.frontend.client_stream import ClientStream
from subproxy.frontend.client_tunnel import ClientTunnel
from subproxy.frontend.connection_state import ConnectionState
from subproxy.relay.receiving import ReceivingState


def asked(front: FallsBack) -> FallbackProtocol:
    """A protocol in the place of C{front}, which has asked for a tunnel that has not begun."""
    protocol = _protocol(front)
    stream, exchange = _stream(protocol, front)
    stream.request.upgrade = Upgrade((WEBSOCKET,), front.asked.key)
    front.channel.channel.adopt_tunnel(exchange, front.asked.number, front.asked.tunnel)
    protocol.go(ConnectionState.ANSWERING)
    return protocol


def begun(front: FallsBack) -> FallbackProtocol:
    """A protocol in the place of C{front}, which is a tunnel, in frames, with both halves open."""
    protocol = _protocol(front)
    stream, exchange = _stream(protocol, front)
    tunnel = front.tunnel
    exchange.holder = None
    exchange.streamed = tunnel.sent
    exchange.received = tunnel.received
    front.channel.channel.adopt_tunnel(exchange, front.asked.number, front.asked.tunnel, tunnel)
    exchange.move(ExchangeState.RESPONDING)
    exchange.response = ACCEPTED
    exchange.tunnel = front.asked.tunnel
    protocol.go(ConnectionState.ANSWERING)
    protocol.go(ConnectionState.TUNNEL)
    protocol.tunnel = ClientTunnel(protocol, stream)
    stream.resume_tunnel(protocol.tunnel, tunnel.first_byte, tunnel.received, tunnel.owed)
    return protocol


def _protocol(front: FallsBack) -> FallbackProtocol:
    protocol = idle(front)
    protocol.held = front.rest or b""
    if front.paused:
        protocol.receive(ReceivingState.PAUSED)
    return protocol


def _stream(protocol: FallbackProtocol, front: FallsBack) -> tuple[ClientStream, Exchange]:
    """The client's side of the exchange, and that, which nobody carries yet."""
    stream = begun_stream(protocol, front)
    exchange = stream.exchange = Exchange(stream.request, b"", stream, protocol.context.dispatcher)
    exchange.pool = front.asked.pool
    exchange.holder = front.member
    exchange.given = front.given
    protocol.client_stream = stream
    return stream, exchange
