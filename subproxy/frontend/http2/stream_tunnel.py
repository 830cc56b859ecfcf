"""
A tunnel on a stream of HTTP/2: extended CONNECT (RFC 8441), from its request to its end.

To the L{ClientTunnel} it is a connection. What the client sends before the guest has accepted
waits, and so does the window of its stream, until then and whenever the guest takes no more.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Protocol

from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable
from subproxy.errors import TunnelIdle
from subproxy.frontend.client_tunnel import ClientTunnel, TunnelHalves, TunnelStream
from subproxy.frontend.context import FrontendContext
from subproxy.frontend.deadlines import NEVER
from subproxy.frontend.http2.connection import Http2Connection
from subproxy.frontend.http2.stream import Http2Stream
from subproxy.relay.receiving import TRANSITIONS as RECEIVING_TRANSITIONS
from subproxy.relay.receiving import ReceivingState


@fast_enum
class StreamTunnelState(Enum):
    """How far it is."""

    ASKED = auto()
    """The guest has not accepted it, or what came before that has not had its turn."""
    OPEN = auto()
    """What comes is for the guest."""
    OVER = auto()
    """Nothing is for anybody."""


TRANSITIONS: TransitionTable[StreamTunnelState] = TransitionTable(
    {
        StreamTunnelState.ASKED: {StreamTunnelState.OPEN, StreamTunnelState.OVER},
        StreamTunnelState.OPEN: {StreamTunnelState.OVER},
        StreamTunnelState.OVER: {StreamTunnelState.OVER},
    }
)


class HasConnection(Protocol):
    """
    The connection, as this wants it.

    @ivar connection: its machine.
    """

    context: FrontendContext
    connection: Http2Connection

    def wrote(self) -> None:
        """Something waits to be sent."""


class StreamTunnel:
    """
    What a request for a tunnel has become.

    @ivar state: see L{StreamTunnelState}.
    @ivar receiving: whether the guest takes what comes.
    @ivar due: when it has been idle for too long (monotonic seconds).
    """

    __slots__ = ("_early", "_ended", "_shell", "_stream", "_tunnel", "due", "receiving", "state")

    transport: Any = None

    def __init__(self, shell: HasConnection, stream: Http2Stream) -> None:
        self._shell = shell
        self._stream = stream
        self._tunnel: ClientTunnel | None = None
        self._early = bytearray()
        self._ended = False  # the client's end has come
        self.state = StreamTunnelState.ASKED
        self.receiving = ReceivingState.READING
        self.due = NEVER

    @property
    def lasts(self) -> bool:
        """It was accepted, and one half or both have not ended."""
        tunnel = self._tunnel
        return tunnel is not None and tunnel.halves is not TunnelHalves.NEITHER

    # Its request, and its end.

    def start(self, client_stream: TunnelStream) -> ClientTunnel:
        """The guest has accepted: C{client_stream} is a tunnel."""
        tunnel = self._tunnel = ClientTunnel(self, client_stream)
        self.keep_tunnel()
        if self._early or self._ended:
            # Who has started it must know of it first.
            self._shell.context.clock.callLater(0, self._open)
        else:
            self._go(StreamTunnelState.OPEN)
        return tunnel

    def _open(self) -> None:
        """What came before has its turn."""
        if self.state is StreamTunnelState.ASKED:
            self._go(StreamTunnelState.OPEN)
            early, self._early = bytes(self._early), bytearray()
            self.came(early, self._ended)

    def abandon(self) -> None:
        """It has been idle for too long."""
        if self._tunnel is not None:
            self._tunnel.abandon(TunnelIdle())

    def over(self) -> None:
        """Nobody wants it any more."""
        self._go(StreamTunnelState.OVER)
        self._early.clear()

    def _go(self, state: StreamTunnelState) -> None:
        self.state = TRANSITIONS.move(self.state, state)

    # The client speaks.

    def came(self, data: bytes, ended: bool) -> None:
        """Bytes came, or none, and perhaps the client's end."""
        tunnel = self._tunnel
        self._ended = self._ended or ended
        if tunnel is None or self.state is StreamTunnelState.ASKED:
            self._early += data
            return
        if self.state is StreamTunnelState.OVER:
            return
        self.keep_tunnel()
        if data:
            tunnel.came(data)
            self._taken()
        if ended:
            self.receive(ReceivingState.ENDED)
            tunnel.client_ended()

    def _taken(self) -> None:
        """The client may send as much again, unless its guest takes no more."""
        if self.receiving is not ReceivingState.PAUSED:
            self._shell.connection.consumed(self._stream, self._stream.held)
            self._shell.wrote()

    # TunnelTransport.

    @property
    def in_tunnel(self) -> bool:
        """What comes is for the tunnel, still."""
        return self.state is StreamTunnelState.OPEN

    def receive(self, state: ReceivingState) -> None:
        """Somebody else takes it from now on."""
        self.receiving = RECEIVING_TRANSITIONS.move(self.receiving, state)

    def keep_tunnel(self) -> None:
        """It is not idle."""
        context = self._shell.context
        self.due = context.monotonic() + context.limits.tunnel_idle

    def pause_reading(self) -> None:
        """Let the client send no more than it may already."""
        if self.receiving is ReceivingState.READING:
            self.receive(ReceivingState.PAUSED)

    def resume_reading(self) -> None:
        """Let the client send more."""
        if self.receiving is ReceivingState.PAUSED:
            self.receive(ReceivingState.READING)
            if self.state is StreamTunnelState.OPEN:
                self._taken()

    def shut_sending(self) -> None:
        """End our half behind what was written: the client's goes on."""
        self._shell.connection.sender.end(self._stream, None)
        self._shell.wrote()

    def hung_up(self) -> bool:
        """The connection looks for that."""
        return False

    def lend_receiving(self, then: Callable[[bytes], None]) -> None:
        """
        Never called: a stream has no socket of its own to lend.

        @raise AssertionError: always.
        """
        raise AssertionError(f"{then} can't be lent a stream")
