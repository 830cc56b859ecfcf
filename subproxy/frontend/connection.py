"""
A client's connection below HTTP: what becomes of its bytes, how it closes, and by when.

What a connection does with bytes is its state: L{subproxy.frontend.connection_state}. RFC 9112
section 9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol

from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.forwarded import Peer
from subproxy.core.http.origin import UNIX
from subproxy.errors import TunnelIdle
from subproxy.frontend.client_tunnel import ClientTunnel, TunnelStream
from subproxy.frontend.close_manner import MANNERS, CloseManner
from subproxy.frontend.connection_state import (
    IN_TUNNEL,
    LISTENING,
    SHUT,
    TRANSITIONS,
    ConnectionState,
)
from subproxy.frontend.context import FrontendContext
from subproxy.frontend.deadlines import NEVER, MinDataRate
from subproxy.frontend.hangup import Hangup, hangup
from subproxy.frontend.interfaces import IBodySource
from subproxy.frontend.limits import READ_SIZE, WRITE_BUFFER
from subproxy.frontend.tcp_info import bytes_taken, waits_for_peer
from subproxy.relay.receiving import TRANSITIONS as RECEIVING_TRANSITIONS
from subproxy.relay.receiving import UNHEARD, ReceivingState
from subproxy.relay.socket_lease import SendingLease, can_lend, lend_reading
from subproxy.telemetry.close_reason import CloseReason


class ClientConnection(Protocol):
    """
    What each connection of a client has, whatever it asks for.

    @ivar context: what all connections of the frontend share.
    @ivar state: what becomes of incoming bytes.
    @ivar deadline: when the sweeper should look at it (monotonic seconds).
    @ivar due: the deadline of the state; C{deadline} is sooner for a look at the pace.
    @ivar writable: the transport takes more: less than its buffer's size waits in it.
    @ivar held: bytes that are not parsed yet.
    @ivar peer: who it is, once somebody wanted to know.
    @ivar body_reader: reads the body of a request that was not here with its head.
    @ivar takes: the pace at which the client takes responses.
    @ivar receiving: who takes what the client sends.
    @ivar sending: the lease of the other side.
    @ivar tunnel: what its exchange has become, if it is one.
    @ivar close_reason: why it closed, or closes: the first reason; None before.
    """

    # The compiled path asks for these with each piece of a streamed answer: without a look-up.
    __slots__ = ("tunnel", "writable")
    transport: Any
    read_size = READ_SIZE

    def __init__(self, context: FrontendContext) -> None:
        self.context = context
        self.state = ConnectionState.IDLE
        self.deadline = NEVER
        self.writable = True
        self.due = NEVER
        self.held = b""
        self.peer: Peer | None = None
        self.body_reader: IBodySource | None = None
        self.takes: MinDataRate | None = None
        self.receiving = ReceivingState.READING
        self.sending = SendingLease()
        self.tunnel: ClientTunnel | None = None
        self.close_reason: CloseReason | None = None

    def tell(self, host: str | None, secure: bool, tls: ClientTls | None = None) -> None:
        """
        Who the client is, by the word of a proxy that has connected for it.

        @param host: its IP address; None for a UNIX socket.
        @param secure: it came over TLS.
        @param tls: what is known of its connection over TLS; None: it has none, or not of ours.
        """
        self.peer = self.context.forwarding.peer(
            UNIX if host is None else host.encode("ascii", "replace"),
            b"https" if secure else b"http",
            tls,
        )

    def _meet(self) -> Peer:
        transport = self.transport
        address = getattr(transport.getPeer(), "host", None)
        return self.context.forwarding.peer(
            UNIX if address is None else address.encode("ascii", "replace"),
            b"https" if ISSLTransport.providedBy(transport) else b"http",
            getattr(transport, "tls", None),
        )

    @property
    def busy(self) -> int:
        """How many requests are under way."""
        raise NotImplementedError

    # The transport speaks.

    def opened(self) -> bool:
        """A client connected: whether there is room for it; then its transport tells of its own."""
        transport = self.transport
        if not self.context.connections.opened(self):
            self.close(CloseReason.TOO_MANY)
            return False
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        transport.bufferSize = WRITE_BUFFER
        transport.registerProducer(self, True)
        return True

    def pauseProducing(self) -> None:
        """The client does not take what is written."""
        self.writable = False
        if self.state is not ConnectionState.OVER and self.tunnel is None:
            # Who takes nothing out of a tunnel holds up itself alone, until that is idle.
            self._expect_taking()
            self.deadline = 0.0

    def resumeProducing(self) -> None:
        """All that was written has left."""
        self.writable = True
        if self.state is not ConnectionState.OVER:
            if self.takes is not None:
                self.takes.stop(self.context.monotonic())
            self.drained()

    def stopProducing(self) -> None:
        """The transport is gone; C{connectionLost} follows."""
        self.writable = False

    def drained(self) -> None:
        """The client takes more."""
        raise NotImplementedError

    # Bytes go.

    def write(self, data: bytes) -> None:
        """Write to the client."""
        self.transport.write(data)

    def writeSequence(self, pieces: Sequence[bytes]) -> None:
        """Write to the client."""
        self.transport.writeSequence(pieces)

    @property
    def lendable(self) -> bool:
        """Whether the transport is a plain socket."""
        return can_lend(self.transport)

    def lendSending(self, then: Callable[[int], None]) -> bool:
        """Lend the sending side when all that was written has left."""
        if self.state is ConnectionState.OVER:
            return False
        self.sending.lend(self.transport, then)
        return True

    def lend_receiving(self, then: Callable[[bytes], None]) -> None:
        """Lend the receiving side; C{then} is given what had been read already, now or later."""
        self.receive(ReceivingState.LENT)
        lend_reading(self.transport, then)

    # Time passes.

    def wait(self, seconds: float) -> None:
        """Set the deadline of the state, so many seconds from now."""
        self.due = self.context.monotonic() + seconds
        self._look_ahead()

    def wait_for_pace(self) -> None:
        """Let only the slowest rate of the body be kept: no deadline of the state."""
        self.due = NEVER

    def _look_ahead(self) -> None:
        """
        Have the sweeper look when the deadline passes; at every sweep while a pace is kept, or
        while nobody reads, and so nobody hears the client leaving.
        """
        body_reader = self.body_reader
        unheard = self.receiving in UNHEARD and self.state in LISTENING
        if self.writable and not unheard and (body_reader is None or body_reader.complete):
            self.deadline = self.due
        else:
            self.deadline = 0.0

    def _expect_taking(self) -> None:
        if self.takes is None:
            self.takes = MinDataRate(bytes_taken(self.transport) or 0)
        self.takes.start(self.context.monotonic())

    def _takes_too_slowly(self, takes: MinDataRate, now: float) -> bool:
        limits = self.context.limits
        taken = bytes_taken(self.transport) or 0
        return takes.exceeded(now, taken, limits.body_grace, limits.body_rate)

    def deadline_passed(self, now: float) -> bool | None:
        """The sweeper looks: who took too long?"""
        state = self.state
        takes = self.takes
        if (
            takes is not None
            and (state is ConnectionState.OVER or not self.writable)
            and self._takes_too_slowly(takes, now)
        ):
            self.close(CloseReason.SLOW_READER)
        elif (
            (state is ConnectionState.COLLECTING or state is ConnectionState.STREAMING)
            and self.body_reader is not None
            and self.body_reader.too_slow(now)
        ):
            self.slow()
        elif (
            (state in LISTENING or state is ConnectionState.STREAMING)
            and self.receiving in UNHEARD
            and self.hung_up()
        ):
            pass
        elif now >= self.due:
            self.due = NEVER
            if self.tunnel is None:
                self.late()
            else:
                self.tunnel.abandon(TunnelIdle())
                self.close(CloseReason.TUNNEL_IDLE)
        elif state is ConnectionState.IDLE:
            # A while behind its answer: was that taken, or does it fill the kernel's buffers?
            if not waits_for_peer(self.transport):
                self.takes = None
                self.deadline = self.due
            elif takes is None:
                self._expect_taking()  # from now on; it is looked at again in the next sweep
            elif self._takes_too_slowly(takes, now):
                self.close(CloseReason.ANSWER_UNTAKEN)
        elif state in LISTENING:
            self._look_ahead()
        return None

    def hung_up(self) -> bool:
        """Who is not read from is not heard leaving either: look. Whether that was the end."""
        if self.state is ConnectionState.TUNNEL_SHUT:
            # Behind our own FIN the client's looks the same as a reset.
            return False
        found = hangup(self.transport)
        if found is Hangup.RESET:
            self.close(CloseReason.CLIENT_RESET)
        elif found is Hangup.FIN:
            self.fin_came()
        return self.state is ConnectionState.OVER

    def fin_came(self) -> None:
        """The client's FIN is here, though there may be bytes before it that were not read."""
        raise NotImplementedError

    def slow(self) -> None:
        """The body of a request comes too slowly."""
        raise NotImplementedError

    def late(self) -> None:
        """The deadline of the state has passed."""
        raise NotImplementedError

    # It closes.

    def go(self, state: ConnectionState) -> None:
        """Do something else with the bytes that come in, from now on."""
        self.state = TRANSITIONS.move(self.state, state)

    def transport_lost(self) -> None:
        """The client is gone, or was sent away: the connection is over."""
        if self.close_reason is None:
            self.close_reason = CloseReason.CLIENT_CLOSED
        self.go(ConnectionState.OVER)
        self.context.connections.closed(self)
        self.deadline = NEVER

    def close(self, reason: CloseReason) -> None:
        """
        Close, in the manner that L{MANNERS} has for C{reason}.

        Who lingers does so only where the client may still be sending.
        """
        if self.close_reason is None:
            self.close_reason = reason
        manner = MANNERS[reason]
        if manner is CloseManner.RESET:
            self.go(ConnectionState.OVER)
            self.transport.abortConnection()
        elif manner is CloseManner.LINGER and self._may_be_sending:
            self.held = b""
            self.go(ConnectionState.LINGERING)
            self.transport.unregisterProducer()
            self.transport.loseWriteConnection()
            self.resume_reading()
            self._expect_taking()
            self.wait(self.context.limits.linger)
        else:
            # An idle tunnel whose guest has ended its half is closed by that, and then as idle.
            if self.state not in SHUT and self.state is not ConnectionState.OVER:
                self.transport.unregisterProducer()
            self.go(ConnectionState.OVER)
            self.due = NEVER
            self.deadline = 0.0
            self._expect_taking()
            self.transport.loseConnection()

    @property
    def _may_be_sending(self) -> bool:
        """The client may still be sending, and could get our FIN and go on."""
        transport = self.transport
        return not (
            self.receiving is ReceivingState.ENDED
            or (self.state is ConnectionState.ANSWERING and not self.held)
        ) and getattr(transport, "half_closes", not ISSLTransport.providedBy(transport))

    def lingered(self) -> None:
        """The client was read for a while: that ends, unless it still takes its last answer."""
        takes = self.takes
        if (
            takes is not None
            and waits_for_peer(self.transport)
            and not self._takes_too_slowly(takes, self.context.monotonic())
        ):
            self.wait(self.context.limits.linger)
        else:
            self.close(CloseReason.LINGER_TIMEOUT)

    def break_off(self) -> None:
        """The answer can't be completed: let the client see that."""
        self.close(CloseReason.TRUNCATED)

    def close_if_idle(self) -> None:
        """Close if no request is under way; else behind the answers."""
        raise NotImplementedError

    def abort(self) -> None:
        """Close at once: the frontend stops."""
        self.close(CloseReason.SHUTDOWN)

    # Tunnels.

    def tunnel_starts(self) -> bool:
        """
        A tunnel is about to start: false if its client can't have one any more.

        One that did not wait for that is sent away (RFC 9931).
        """
        if self.held:
            self.close(CloseReason.EARLY_DATA)
        return self.state is ConnectionState.ANSWERING

    def tunnel_started(self, stream: TunnelStream) -> ClientTunnel:
        """The client has been told that C{stream} is a tunnel: what it sends is for the guest."""
        self.go(ConnectionState.TUNNEL)
        self.takes = None
        tunnel = self.tunnel = ClientTunnel(self, stream)
        self.wait(self.context.limits.tunnel_idle)
        if self.receiving is ReceivingState.ENDED:
            # It may be over then, but who has started it must know of it first.
            self.context.clock.callLater(0, self._ended_early, tunnel)
        return tunnel

    def _ended_early(self, tunnel: ClientTunnel) -> None:
        """The client had sent its FIN before C{tunnel} started."""
        if self.tunnel is tunnel:
            tunnel.client_ended()

    @property
    def in_tunnel(self) -> bool:
        """What comes is for the tunnel, still."""
        return self.state in IN_TUNNEL

    def keep_tunnel(self) -> None:
        """Something passes through it: the sweeper finds out later by how much it may wait."""
        self.due = self.context.monotonic() + self.context.limits.tunnel_idle

    def shut_sending(self) -> None:
        """Send what was written, and then a FIN: the client may send on."""
        self.go(ConnectionState.TUNNEL_SHUT)
        self.transport.unregisterProducer()
        self.transport.loseWriteConnection()

    # Bytes come, or wait.

    def pause_reading(self) -> None:
        """Read no more for now."""
        if self.receiving is ReceivingState.READING:
            self.receive(ReceivingState.PAUSED)
            if self.state in LISTENING:
                self.deadline = 0.0
            self.transport.pauseProducing()

    def resume_reading(self) -> None:
        """Read again."""
        if self.receiving is ReceivingState.PAUSED:
            self.receive(ReceivingState.READING)
            self.transport.resumeProducing()

    def receive(self, state: ReceivingState) -> None:
        """Have somebody else take what the client sends, from now on."""
        self.receiving = RECEIVING_TRANSITIONS.move(self.receiving, state)
