"""
The bodies of one exchange that go over data connections: who waits for which, and for how long.
That of a response is in L{subproxy.subscription.bodies.response_transfer}.

Each has a state, by a table. A guest that can't dial takes the other way, C{body} frames, and
then the body has L{TransferState.FRAMES} and this module nothing more to do with it.

Compiled a second time: L{subproxy.fastpath._fast_body}, L{subproxy.fastpath._download} and
L{subproxy.fastpath._upload} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable
from subproxy.errors import GuestFailure, GuestGone
from subproxy.relay.splice import LEAST, SpliceRelay
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.bodies.interfaces import IBodyUser
from subproxy.subscription.bodies.tokens import PendingClaim
from subproxy.subscription.close_reason import GuestCloseReason
from subproxy.subscription.context import GuestContext
from subproxy.subscription.interfaces import TransferRequest
from subproxy.wire.fields import Headers


@fast_enum
class TransferState(Enum):
    """How a body goes."""

    PROMISED = auto()
    """A token is out for it, or was."""
    CARRIED = auto()
    """A data connection carries it."""
    BROKEN = auto()
    """That was closed; what the guest says next decides whether the body was complete."""
    FRAMES = auto()
    """The guest wants it in frames instead."""
    OVER = auto()
    """It is complete, or nobody wants it any more."""


TRANSITIONS: TransitionTable[TransferState] = TransitionTable(
    {
        TransferState.PROMISED: {TransferState.CARRIED, TransferState.FRAMES, TransferState.OVER},
        TransferState.CARRIED: {TransferState.BROKEN, TransferState.OVER},
        TransferState.BROKEN: {TransferState.OVER},
        TransferState.FRAMES: {TransferState.OVER},
        TransferState.OVER: (),
    }
)


class BodyTransfer:
    """What both directions have in common."""

    def __init__(
        self,
        request: TransferRequest,
        context: GuestContext,
        promise: PendingClaim[DataConnection] | None = None,
        lapses: bool = True,
    ) -> None:
        """
        Promise a body.

        @param promise: its token, if that is out already.
        @param lapses: a new one does from now on.
        """
        self.way = TransferState.PROMISED
        self._request = request
        self._context = context
        self._connection: DataConnection | None = None
        self._timer: IDelayedCall | None = None
        self._socket: Any = None  # the client's, while it is lent to us
        self._relay: SpliceRelay | None = None
        self._tokens = context.tokens
        self._promise = promise or self._tokens.issue(
            request.identity, request.number, self._claimed, self._expired, lapses
        )
        self.token = self._promise.token

    def adopt(self, connection: DataConnection, relay: SpliceRelay | None, socket: Any) -> None:
        """
        Go on with a body that C{connection} carries already.

        @param relay: what moves it, if anything does yet; made for us.
        @param socket: the client's, lent to us.
        """
        self._go(TransferState.CARRIED)
        self._connection = connection
        self._relay = relay
        self._socket = socket

    def release(self) -> None:
        """The exchange is over, or needs this body no more."""
        if self.way is TransferState.OVER:
            return
        self._go(TransferState.OVER)
        self._tokens.void(self._promise)
        self._wait(None)
        self._stop()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort(GuestCloseReason.EXCHANGE_OVER)

    def frames(self) -> bool:
        """The guest takes the other way; False if it has begun to use this one."""
        if self.way is TransferState.PROMISED:
            self._go(TransferState.FRAMES)
            self._tokens.void(self._promise)
            self._wait(None)
        return self.way is TransferState.FRAMES

    def _claimed(self, connection: DataConnection) -> None:
        self._go(TransferState.CARRIED)
        self._connection = connection

    def _expired(self) -> None:
        raise NotImplementedError

    def _splice(self, source: int, sink: int, length: int) -> bool:
        """Move the rest past us, if there are descriptors for it."""
        context = self._context
        try:
            relay = SpliceRelay(context.pump, context.pipes, source, sink, length, self)
            relay.start()
        except OSError:
            return False
        self._relay = relay
        return True

    def _stop(self) -> None:
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.stopProducing()

    def relay_moved(self, taken: int, given: int) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        raise NotImplementedError

    def relay_blocked(self, blocked: bool) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        raise NotImplementedError

    def relay_done(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        raise NotImplementedError

    def source_ended(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        raise NotImplementedError

    def sink_broke(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        raise NotImplementedError

    def _wait(self, error: GuestFailure | None) -> None:
        """Give up with C{error} if nothing happens; None: it has happened."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if error is not None:
            self._timer = self._later(self._request.transfer_broke, error)

    def _later(self, what: Callable[..., None], *args: object) -> IDelayedCall:
        """Call C{what} when the guest has taken too long over what it must do next."""
        context = self._context
        return context.clock.callLater(context.settings.claim_timeout, what, *args)

    def _go(self, way: TransferState) -> None:
        self.way = TRANSITIONS.move(self.way, way)


@implementer(IBodyUser)
class RequestTransfer(BodyTransfer):
    """A request body."""

    def __init__(
        self,
        request: TransferRequest,
        context: GuestContext,
        promise: PendingClaim[DataConnection] | None = None,
        sent: int = 0,
    ) -> None:
        super().__init__(request, context, promise)
        self._sent = sent

    def _claimed(self, connection: DataConnection) -> None:
        super()._claimed(connection)
        connection.send(self)
        self._request.exchange.resume_request()
        self._borrow()

    def _borrow(self) -> None:
        """Have the rest moved past us, if there is enough of it."""
        connection = self._connection
        if connection is None or not connection.lendable or self._relay is not None:
            return
        if self._socket is None:
            self._socket = self._request.exchange.sink.clientSocket()
        if self._socket is not None:
            self._socket.lendReceiving(LEAST, self._source_lent)

    def _source_lent(self, source: int, left: int) -> None:
        def lent(sink: int) -> None:
            if self._connection is None or not self._splice(source, sink, left):
                self._give_back()

        if self._connection is None:
            self._give_back()
        else:
            self._connection.lendSending(lent)

    def _give_back(self) -> None:
        socket = self._socket
        if socket is not None:
            socket.returned()

    def _stop(self) -> None:
        super()._stop()
        self._give_back()

    def relay_moved(self, taken: int, given: int) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        self._count(given)
        self._request.exchange.request_moved(taken)
        self._socket.received(taken)

    def relay_blocked(self, blocked: bool) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        self._socket.stalled(blocked)

    def relay_done(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}: the frontend goes on, and ends it."""
        self._relay = None
        self._give_back()

    def source_ended(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}: the transport finds out more."""
        self._relay = None
        self._give_back()

    def sink_broke(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        self._relay = None
        connection = self._connection
        if connection is not None:
            connection.broke()

    def _expired(self) -> None:
        """The guest may not have come to read it yet: when it does, it asks for frames."""

    def write(self, data: bytes) -> None:
        """More of it came from the client."""
        connection = self._connection
        if connection is not None:
            self._count(len(data))
            connection.write(data)
            if not connection.ready:
                self._request.exchange.pause_request()

    def _count(self, sent: int) -> None:
        """So many bytes more went to the guest: it may know that these were all."""
        self._sent += sent
        connection = self._connection
        if connection is not None and self._is_written:
            connection.all_written()

    @property
    def _is_written(self) -> bool:
        """The guest was given as many bytes as were announced, be their end told or not."""
        return self._sent == self._request.exchange.request.length

    def end(self, trailers: Headers) -> None:
        """All of it has come from the client."""
        self._request.end_transfer(trailers, self._sent)
        if self.way is TransferState.CARRIED:
            connection, self._connection = self._connection, None
            self._go(TransferState.OVER)
            if connection is not None:
                connection.sent()

    def bodyReceived(self, data: bytes) -> None:
        """See L{IBodyUser}: nothing comes here."""

    def bodyComplete(self) -> None:
        """See L{IBodyUser}."""

    def writable(self) -> None:
        """See L{IBodyUser}."""
        self._request.exchange.resume_request()
        self._borrow()

    def connectionGone(self) -> None:
        """See L{IBodyUser}: a guest that answers needs not read to the end, but must answer."""
        self._connection = None
        if self._is_written:
            # It may have read all, and have no further use for the connection.
            self._stop()
            return
        self._go(TransferState.BROKEN)
        self._request.exchange.pause_request()
        self._stop()
        self._timer = self._later(self._not_answered)

    def _not_answered(self) -> None:
        """It had time to begin with its answer; that may take as long as it likes."""
        if self._request.exchange.response is None:
            reason = "the application closed the connection of the request's body"
            self._request.transfer_broke(GuestGone(reason))
