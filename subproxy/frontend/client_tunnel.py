"""
A tunnel on a client's connection: bytes of a protocol that the proxy does not know, both ways.

It begins when its guest has accepted, and each half ends by itself: the client's with its FIN, the
guest's with C{end} (docs/protocol.md, "Tunnels"). Which have is a table.

Compiled a second time: L{subproxy.fastpath._client_tunnel}, L{subproxy.fastpath._fast_tunnel} and
L{subproxy.fastpath._tunnelling_connection} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Protocol

from subproxy.core.exchange import Exchange
from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable
from subproxy.errors import ProxyError
from subproxy.relay.receiving import ReceivingState


@fast_enum
class TunnelHalves(Enum):
    """Which halves are still open."""

    BOTH = auto()
    CLIENTS = auto()
    """The guest has said all that it will."""
    GUESTS = auto()
    """The client has."""
    NEITHER = auto()


TRANSITIONS: TransitionTable[TunnelHalves] = TransitionTable(
    {
        TunnelHalves.BOTH: {TunnelHalves.CLIENTS, TunnelHalves.GUESTS},
        TunnelHalves.CLIENTS: {TunnelHalves.NEITHER},
        TunnelHalves.GUESTS: {TunnelHalves.NEITHER},
        TunnelHalves.NEITHER: (),
    }
)

_TAKEN = (ReceivingState.LENT, ReceivingState.ENDED)


class TunnelTransport(Protocol):
    """
    The connection of the client, as its tunnel sees it.

    @ivar transport: its transport.
    @ivar receiving: who takes what the client sends.
    """

    transport: Any
    receiving: ReceivingState

    def receive(self, state: ReceivingState) -> None:
        """Somebody else takes it from now on."""

    @property
    def in_tunnel(self) -> bool:
        """What comes is for the tunnel, still."""

    def keep_tunnel(self) -> None:
        """It is not idle."""

    def hung_up(self) -> bool:
        """Look whether the client has reset the connection: it is over then."""

    def lend_receiving(self, then: Callable[[bytes], None]) -> None:
        """Lend the receiving side; C{then} is given what had been read already, now or later."""

    def pause_reading(self) -> None:
        """Read no more for now."""

    def resume_reading(self) -> None:
        """Read again."""

    def shut_sending(self) -> None:
        """Send what was written, and then the end of our half."""


class TunnelStream(Protocol):
    """
    Its exchange, on that connection.

    @ivar exchange: the exchange, until it is logged.
    """

    exchange: Exchange | None

    def tunnel_over(self) -> None:
        """Both halves have ended."""


class ClientTunnel:
    """
    The tunnel of C{client_stream}.

    @ivar halves: which are open.
    """

    __slots__ = ("_client_stream", "_connection", "halves")

    def __init__(self, connection: TunnelTransport, client_stream: TunnelStream) -> None:
        self._connection = connection
        self._client_stream = client_stream
        self.halves = TunnelHalves.BOTH

    def came(self, data: bytes) -> None:
        """Bytes came from the client; what the guest does not take yet, waits for its credit."""
        exchange = self._client_stream.exchange
        if exchange is not None:
            exchange.request_data(data)

    def client_ended(self) -> None:
        """The client sends no more."""
        exchange = self._client_stream.exchange
        if exchange is not None:
            exchange.request_end([])
            self._end(TunnelHalves.GUESTS)

    def guest_ended(self) -> None:
        """The guest sends no more."""
        self._end(TunnelHalves.CLIENTS)
        if self.halves is TunnelHalves.CLIENTS:
            self._connection.shut_sending()

    def abandon(self, error: ProxyError) -> None:
        """It ends before its halves have."""
        exchange = self._client_stream.exchange
        if exchange is not None:
            exchange.cancel(error)

    def _end(self, left: TunnelHalves) -> None:
        if self.halves is not TunnelHalves.BOTH:
            left = TunnelHalves.NEITHER
        self.halves = TRANSITIONS.move(self.halves, left)
        if left is TunnelHalves.NEITHER:
            self._client_stream.tunnel_over()

    # The socket is lent (L{subproxy.frontend.tunnel_socket}).

    def lend(self, then: Callable[[int], None]) -> bool:
        """
        Lend the receiving side, if the client may still send.

        @param then: is given the descriptor, now or later, unless it is over before.
        """
        connection = self._connection
        if connection.receiving in _TAKEN or not connection.in_tunnel:
            return False

        def quiet(data: bytes) -> None:
            if data and connection.receiving is ReceivingState.LENT and connection.in_tunnel:
                self.came(data)
            if connection.receiving is ReceivingState.LENT and connection.in_tunnel:
                then(connection.transport.fileno())

        connection.lend_receiving(quiet)
        return True

    def passed(self) -> None:
        """Bytes went by, in either direction."""
        self._connection.keep_tunnel()

    def returned(self) -> None:
        """The receiving side is the connection's again."""
        connection = self._connection
        if connection.receiving is ReceivingState.LENT:
            connection.receive(ReceivingState.PAUSED)
            # A relay that was told of a reset has taken it out of the socket.
            if connection.in_tunnel and not connection.hung_up():
                connection.resume_reading()

    # The guest's wishes: see C{IBodySource}.

    def pause(self) -> None:
        """The guest takes no more for now."""
        self._connection.pause_reading()

    def resume(self) -> None:
        """The guest takes more."""
        self._connection.resume_reading()
