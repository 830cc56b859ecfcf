"""
A tunnel on one channel, as its exchange sees it: who carries both halves to the guest and from it.

What passes goes in frames, or by a L{TunnelTransfer} over a data connection (docs/protocol.md,
"Tunnels").

Compiled a second time: L{subproxy.fastpath._client_tunnel}, L{subproxy.fastpath._fast_tunnel} and
L{subproxy.fastpath._tunnelling_connection} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

import sys

from zope.interface import implementer

from subproxy.core.exchange import Exchange, ExchangeState
from subproxy.core.interfaces import IUpstreamRequest
from subproxy.subscription.bodies.tunnel_transfer import TunnelTransfer
from subproxy.subscription.context import GuestContext
from subproxy.subscription.interfaces import TunnelChannel
from subproxy.subscription.upstream_request import UpstreamRequest
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection
from subproxy.wire.fields import Headers
from subproxy.wire.states import Tunnel

SMALL = 4096
"""Bytes of a piece from which on it counts as some of much."""


@implementer(IUpstreamRequest)
class TunnelRequest(UpstreamRequest):
    """
    One exchange for which the guest was asked for a tunnel.

    @ivar protocol: which, as the guest spells it.
    @ivar transfer: what goes over a data connection, once one was offered.
    """

    __slots__ = ("_context", "_received", "_sent", "_tunnels", "_weighty", "protocol", "transfer")

    def __init__(
        self,
        channel: TunnelChannel,
        number: int,
        exchange: Exchange,
        protocol: bytes,
        context: GuestContext,
    ) -> None:
        super().__init__(channel, number, exchange)
        self._tunnels = channel
        self._context = context
        self.protocol = protocol
        self.transfer: TunnelTransfer | None = None
        # Small messages are best off in frames, however many: these count what is not small.
        self._sent = self._received = 0
        most = context.settings.tunnel
        self._weighty = min(SMALL, most) if most else sys.maxsize

    def resume(self, sent: int, received: int) -> None:
        """So much of what is not small has passed in frames, by somebody else."""
        self._sent, self._received = sent, received

    @property
    def wire(self) -> WireConnection:
        """The protocol state of the subscription."""
        return self._tunnels.wire

    @property
    def streams(self) -> bool:
        """See L{UpstreamRequest}."""
        transfer = self.transfer
        return self.exchange.tunnel is not None and (transfer is None or not transfer.sends)

    def release(self) -> None:
        """It is over here, and so is its data connection."""
        super().release()
        if self.transfer is not None:
            self.transfer.release()
        self._context.tunnels.closed(self.identity)

    # The guest answers.

    def accepted(self, message: m.Response) -> bool:
        """
        Look whether a final response accepts the tunnel; then it has begun.

        @raise GuestMisbehaved: its head is not valid HTTP.
        """
        wire = self.wire.exchanges.get(self.number)
        if wire is None or wire.tunnel is None:
            return False
        transfer = None
        if wire.tunnel.state is Tunnel.DIRECT:
            transfer = self.transfer = TunnelTransfer(self, self._context, direct=True)
        self.exchange.tunnel_start(message.status, message.headers, self.protocol)
        if transfer is not None and self.exchange.state is not ExchangeState.DONE:
            self.wire.send(m.Connect(self.number, transfer.token))
        return True

    def moved(self, message: m.Move) -> None:
        """The guest's half has moved."""
        if self.transfer is not None:
            self.transfer.moved(message.length)

    def ended(self, message: m.End) -> None:
        """The guest's half has ended, or will when all of it is here."""
        if self.transfer is not None and self.transfer.receives:
            self.transfer.ended(message)
        else:
            self.response_complete()

    def response_complete(self) -> None:
        """All of the guest's half has come."""
        self.exchange.response_end([])
        self.settle()

    def settle(self) -> None:
        """Leave the channel when both halves have ended, on the wire too."""
        if self.exchange.state is ExchangeState.DONE and self.number not in self.wire.exchanges:
            if self.transfer is not None:
                self.transfer.over()
            self._tunnels.leave(self)

    # What the exchange calls.

    def sendBody(self, data: bytes) -> None:
        """See L{IUpstreamRequest}."""
        if self.transfer is not None and self.transfer.sends:
            self.transfer.write(data)
        else:
            super().sendBody(data)
            self.sent(len(data))

    def endBody(self, trailers: Headers) -> None:
        """See L{IUpstreamRequest}."""
        if self.transfer is not None and self.transfer.sends:
            self.transfer.end()
        else:
            super().endBody([])
            self.settle()

    def consumed(self, amount: int) -> None:
        """See L{IUpstreamRequest}."""
        super().consumed(amount)
        if self.transfer is not None:
            self.transfer.consumed(amount)

    # Data connections.

    def sent(self, size: int) -> None:
        """So much of the client's half has gone in frames, or waits for credit to go there."""
        if size >= self._weighty:
            self._sent += size
            self._offer()

    def passed(self, size: int) -> None:
        """So much of the guest's half has come in a frame."""
        if size >= self._weighty:
            self._received += size
            self._offer()

    def _offer(self) -> None:
        """Offer a data connection, once, when enough has passed in frames."""
        most = self._context.settings.tunnel
        wire = self.wire.exchanges.get(self.number)
        if self.transfer is not None or not most or wire is None or wire.tunnel is None:
            return
        tunnel = wire.tunnel
        if (
            tunnel.state is Tunnel.FRAMED
            and self.wire.bulk
            and max(self._sent, self._received) >= most
        ):
            transfer = self.transfer = TunnelTransfer(self, self._context, direct=False)
            self.wire.send(m.Connect(self.number, transfer.token))
            self.flush()

    def end_raw(self, size: int) -> None:
        """All C{size} bytes of our half have been given to the wire and to a data connection."""
        self.wire.end_body(self.number, [], {b"length": size})
        self.flush()
        self.settle()

    def flush(self) -> None:
        """Write what was said, unless a turn is under way."""
        self._tunnels.flush()
