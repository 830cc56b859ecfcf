"""
The data connection of a tunnel: what passes both ways when it has left the frames.

Either the guest has accepted with a dictionary, and all goes this way; or it began in frames, and
each half moves at a point of its own (docs/protocol.md, "Moving"). What the client sends before
there is a connection waits, and the client with it. A guest that does not dial leaves a tunnel in
its frames; one that was accepted for a data connection alone is broken then.
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from subproxy.core.tunnel_half import HALF_TRANSITIONS, TunnelHalfState
from subproxy.errors import GuestGone, GuestMisbehaved, GuestSlow
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.bodies.interfaces import IBodyUser
from subproxy.subscription.bodies.tunnel_splice import SplicedClientHalf, SplicedGuestHalf
from subproxy.subscription.bodies.tunnel_transfer_state import TRANSITIONS, TunnelTransferState
from subproxy.subscription.close_reason import GuestCloseReason
from subproxy.subscription.context import GuestContext
from subproxy.subscription.interfaces import TunnelTransferRequest
from subproxy.wire import messages as m
from subproxy.wire.states import Half


@implementer(IBodyUser)
class TunnelTransfer:
    """
    What of a tunnel goes over a data connection.

    @ivar state: see L{TunnelTransferState}.
    @ivar token: what the guest claims it with.
    """

    def __init__(
        self, request: TunnelTransferRequest, context: GuestContext, *, direct: bool
    ) -> None:
        """
        Wait for the guest to dial.

        @param direct: it was accepted for a data connection, and nothing passes in frames.
        """
        self.state = TunnelTransferState.AWAITED if direct else TunnelTransferState.OFFERED
        self._request = request
        self._context = context
        self._connection: DataConnection | None = None
        self._client_half: SplicedClientHalf | None = None
        self._guest_half: SplicedGuestHalf | None = None
        self._waits: IDelayedCall | None = None
        self._tokens = context.tokens
        self._claim = self._tokens.issue(
            request.identity, request.number, self._claimed, self._expired
        )
        self.token = self._claim.token
        self._ours = self._theirs = TunnelHalfState.RAW if direct else TunnelHalfState.FRAMED
        self._waiting: list[bytes] = []
        self._sent = 0  # bytes of our half, those in frames among them
        self._received = 0  # likewise, of theirs
        self._length: int | None = None  # of theirs, once its end was told

    @property
    def sends(self) -> bool:
        """Whether what our half still sends goes this way."""
        return self._ours is not TunnelHalfState.FRAMED

    @property
    def receives(self) -> bool:
        """Whether what the guest's half still sends comes this way."""
        return self._theirs is not TunnelHalfState.FRAMED

    @property
    def complete(self) -> bool:
        """Whether all that the guest has sent is here, and its end."""
        return self._theirs is TunnelHalfState.COMPLETE

    # The client speaks.

    def write(self, data: bytes) -> None:
        """More came from the client."""
        self._sent += len(data)
        connection = self._connection
        if connection is None:
            self._waiting.append(data)
            self._request.exchange.pause_request()
            return
        connection.write(data)
        if not connection.ready:
            self._request.exchange.pause_request()

    def end(self) -> None:
        """The client sends no more."""
        if self._connection is None:
            self._ours = HALF_TRANSITIONS.move(self._ours, TunnelHalfState.ENDING)
        else:
            self._end()

    def _end(self) -> None:
        self._ours = HALF_TRANSITIONS.move(self._ours, TunnelHalfState.COMPLETE)
        self._request.end_raw(self._sent)

    def consumed(self, amount: int) -> None:
        """So many bytes have left for the client; those that had come in frames come first."""
        if self._connection is not None and self.receives:
            self._connection.consumed(amount)

    # The guest dials, and speaks.

    def _claimed(self, connection: DataConnection) -> None:
        direct = self.state is TunnelTransferState.AWAITED
        self._go(TunnelTransferState.CARRIED)
        self._connection = connection
        connection.carry_tunnel(self)
        request = self._request
        if direct:
            waiting, self._waiting = self._waiting, []
            for piece in waiting:
                connection.write(piece)
            connection.duplex()
        else:
            self._move(connection)
        if self._ours is TunnelHalfState.ENDING:
            self._end()
        if connection.ready:
            request.exchange.resume_request()
        self._splice()

    def _splice(self) -> None:
        """Have past us what can go so: what has moved, between sockets that can be lent."""
        connection = self._connection
        if connection is None or not connection.lendable or self.state is TunnelTransferState.OVER:
            return
        socket = self._request.exchange.sink.clientSocket()
        if socket is None:
            return
        if self._client_half is None and self.sends and not self._request.exchange.ended:
            self._client_half = SplicedClientHalf(self._context, connection, socket, self)
            self._client_half.start()
        if self._guest_half is None and self.receives and not self.complete:
            left = None if self._length is None else self._length - self._received
            self._guest_half = SplicedGuestHalf(self._context, connection, socket, self)
            self._guest_half.start(left)

    def client_moved(self, taken: int, given: int) -> None:
        """See L{SplicedTunnel<subproxy.subscription.bodies.tunnel_splice.SplicedTunnel>}."""
        self._sent += given
        self._request.exchange.request_moved(taken)

    def guest_moved(self, taken: int, given: int) -> None:
        """See L{SplicedTunnel<subproxy.subscription.bodies.tunnel_splice.SplicedTunnel>}."""
        self._received += taken
        self._request.exchange.response_moved(given)

    def guest_complete(self) -> None:
        """See L{SplicedTunnel<subproxy.subscription.bodies.tunnel_splice.SplicedTunnel>}."""
        self._settle()

    def _move(self, connection: DataConnection) -> None:
        """Move our half, if it has not ended: what waited for credit is the first to go."""
        wire, number = self._request.wire, self._request.number
        exchange = wire.exchanges.get(number)
        if exchange is None or exchange.ours is not Half.STREAMING:
            return
        assert exchange.tunnel is not None
        ends = exchange.ending is not None
        pieces = wire.move_body(number)
        self._ours = HALF_TRANSITIONS.move(self._ours, TunnelHalfState.RAW)
        if ends:
            self._ours = HALF_TRANSITIONS.move(self._ours, TunnelHalfState.ENDING)
        self._sent = exchange.tunnel.sent
        for piece in pieces:
            self._sent += len(piece)
            connection.write(bytes(piece))
        self._request.flush()

    def _expired(self) -> None:
        if self.state is TunnelTransferState.AWAITED:
            self._request.transfer_broke(
                GuestSlow("the application dialled no data connection for its tunnel")
            )
        else:
            self._go(TunnelTransferState.LAPSED)

    def moved(self, length: int) -> None:
        """The guest's half has moved; C{length} bytes of it came in frames."""
        if self._connection is None:
            error = GuestMisbehaved("a tunnel moves before its data connection is there")
            self._request.transfer_misbehaved(error)
            return
        self._theirs = HALF_TRANSITIONS.move(self._theirs, TunnelHalfState.RAW)
        self._received = length
        self._connection.duplex()
        self._splice()

    def ended(self, message: m.End) -> None:
        """The guest has sent all of a half that has moved: its C{end} tells how much that is."""
        length = message.info.get(b"length")
        assert type(length) is int  # the wire has looked
        self._theirs = HALF_TRANSITIONS.move(self._theirs, TunnelHalfState.ENDING)
        self._length = length
        half = self._guest_half
        if half is not None and half.moves:
            half.report()
            if self._received <= length:
                half.limit(length - self._received)
                return
        self._settle()

    def bodyReceived(self, data: bytes) -> None:
        """See L{IBodyUser}."""
        self._received += len(data)
        if self._length is not None and self._received > self._length:
            self._misbehaved()
            return
        self._request.exchange.response_data(data)
        self._settle()

    def _settle(self) -> None:
        """Look whether all of the guest's half is here."""
        length = self._length
        if self._theirs is not TunnelHalfState.ENDING or self.state is TunnelTransferState.OVER:
            return
        assert length is not None
        if self._received > length:
            self._misbehaved()
        elif self._received == length:
            self._theirs = HALF_TRANSITIONS.move(self._theirs, TunnelHalfState.COMPLETE)
            self._request.response_complete()
        elif self.state is TunnelTransferState.CUT:
            self._break()

    def _misbehaved(self) -> None:
        self._request.transfer_misbehaved(
            GuestMisbehaved(f"more of a tunnel than its end says ({self._length} bytes)")
        )

    def bodyComplete(self) -> None:
        """See L{IBodyUser}: of a tunnel the connection does not know when that is."""

    def writable(self) -> None:
        """See L{IBodyUser}."""
        self._request.exchange.resume_request()

    def connectionGone(self) -> None:
        """See L{IBodyUser}: before both halves have ended, it is a break."""
        self._connection = None
        self._stop()
        if self._request.exchange.ended and self._theirs is TunnelHalfState.RAW:
            # What says that this was the end comes on another connection.
            self._go(TunnelTransferState.CUT)
            context = self._context
            self._waits = context.clock.callLater(context.settings.claim_timeout, self._break)
        else:
            self._break()

    def _break(self) -> None:
        self._request.transfer_broke(GuestGone("the data connection of the tunnel broke"))

    def _stop(self) -> None:
        """Nothing more passes, whoever moves it."""
        for half in (self._client_half, self._guest_half):
            if half is not None:
                half.stop()
        waits, self._waits = self._waits, None
        if waits is not None and waits.active():
            waits.cancel()

    # Its end.

    def over(self) -> None:
        """Both halves have ended: the guest closes the connection, when it has read to the end."""
        self._stop()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.spent()
        self.release()

    def release(self) -> None:
        """Nobody wants it any more."""
        if self.state is TunnelTransferState.OVER:
            return
        self._go(TunnelTransferState.OVER)
        self._stop()
        self._tokens.void(self._claim)
        self._waiting.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort(GuestCloseReason.EXCHANGE_OVER)

    def _go(self, state: TunnelTransferState) -> None:
        self.state = TRANSITIONS.move(self.state, state)
