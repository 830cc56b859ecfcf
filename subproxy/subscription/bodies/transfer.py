"""
The bodies of one exchange that go over data connections: who waits for which, and for how long.

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
from subproxy.errors import GuestFailure, GuestGone, GuestMisbehaved, GuestSlow
from subproxy.relay.splice import LEAST, SpliceRelay
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.bodies.interfaces import IBodyUser
from subproxy.subscription.bodies.tokens import PendingClaim
from subproxy.subscription.close_reason import GuestCloseReason
from subproxy.subscription.context import GuestContext
from subproxy.subscription.interfaces import TransferRequest
from subproxy.wire import messages as m
from subproxy.wire.fields import Headers
from subproxy.wire.limits import MAX_NUMBER


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


class _BodyTransfer:
    """What both directions have in common."""

    def __init__(
        self,
        request: TransferRequest,
        context: GuestContext,
        promise: PendingClaim[DataConnection] | None = None,
    ) -> None:
        """
        Promise a body.

        @param promise: its token, if that is out already.
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
            request.identity, request.number, self._claimed, self._expired
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
class ResponseTransfer(_BodyTransfer):
    """
    A response body.

    @param length: of it, if the guest has told; else C{end} tells.
    """

    def __init__(
        self,
        request: TransferRequest,
        context: GuestContext,
        length: int | None,
        promise: PendingClaim[DataConnection] | None = None,
        moved: int = 0,
    ) -> None:
        super().__init__(request, context, promise)
        self._length = length
        self._told = length is not None
        self._moved = moved
        self._end: m.End | None = None

    def all_came(self) -> None:
        """All has been moved by somebody else, and its connection is free again."""
        self._go(TransferState.CARRIED)

    def _claimed(self, connection: DataConnection) -> None:
        super()._claimed(connection)
        connection.receive(self, self._length)
        if self._connection is not connection:
            return
        if connection.lendable and (self._length or 0) - self._moved >= LEAST:
            self._socket = self._request.exchange.sink.clientSocket()
        if self._socket is not None:
            self.lend()
        else:
            connection.take_back()

    def lend(self) -> None:
        """Have the rest moved past us as soon as both sockets can be lent."""
        assert self._connection is not None
        self._connection.lendReceiving(self._source_lent)

    def _source_lent(self, source: int, left: int) -> None:
        def lent(sink: int) -> None:
            connection = self._connection
            if connection is not None and not self._splice(source, sink, left):
                connection.returned(0)

        assert self._connection is not None
        if left < LEAST or not self._socket.lendSending(lent):
            self._connection.returned(0)

    def relay_moved(self, taken: int, given: int) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        self._moved += given
        self._request.exchange.response_moved(given)
        self._socket.sent(given)

    def relay_blocked(self, blocked: bool) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        self._socket.blocked(blocked)

    def relay_done(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        self.source_ended()

    def source_ended(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}: the transport finds out more."""
        relay, self._relay = self._relay, None
        if relay is not None and self._connection is not None:
            self._connection.returned(relay.taken)

    def sink_broke(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        self._relay = None
        self._socket.broke()

    def _expired(self) -> None:
        # It may still send frames; but not never.
        self._wait(GuestSlow("the application dialled no data connection for its answer"))

    def bodyReceived(self, data: bytes) -> None:
        """See L{IBodyUser}."""
        self._moved += len(data)
        try:
            self._request.exchange.response_data(data)
        except GuestMisbehaved as error:
            self._request.transfer_misbehaved(error)
            return
        if not self._told:
            self._settle()

    def bodyComplete(self) -> None:
        """See L{IBodyUser}."""
        self._connection = None
        self._settle()

    def writable(self) -> None:
        """See L{IBodyUser}: nothing is written here."""

    def connectionGone(self) -> None:
        """See L{IBodyUser}: what the end of a connection means, only C{end} can tell."""
        self._connection = None
        self._stop()
        self._go(TransferState.BROKEN)
        if self._length is None:
            self._wait(self._short())
        else:
            self._request.transfer_broke(self._short())

    def consumed(self, amount: int) -> None:
        """So many bytes have left for the client."""
        if self._connection is not None:
            self._connection.consumed(amount)

    def ended(self, message: m.End) -> None:
        """The guest says that all has been sent."""
        length = message.info.get(b"length", self._length)
        if type(length) is not int or not 0 <= length <= MAX_NUMBER:
            self._misbehaved("the end of a body does not say its length")
        elif self._length is not None and length != self._length:
            self._misbehaved(f"a body of {length} bytes, where {self._length} were announced")
        else:
            self._end = message
            self._length = length
            self._settle()

    def outlive(self) -> bool:
        """
        The subscription is gone: whether the body may still come, because its end was told.

        It is waited for as long as something comes; nobody asks its guest any more whether it
        is there.
        """
        if self._end is None or self.way is TransferState.OVER:
            return False
        self._expect_more(-1)
        return True

    def _expect_more(self, moved: int) -> None:
        """C{moved} bytes had come when somebody looked last: give up if there are no more."""
        if self._moved == moved and not self._held_back():
            self._request.transfer_broke(self._short())
            return
        # A token that nobody claims has a deadline of its own.
        moved = self._moved if self.way is TransferState.CARRIED else -1
        self._wait(None)
        self._timer = self._later(self._expect_more, moved)

    def _held_back(self) -> bool:
        """It is the client that stops the body."""
        connection, relay = self._connection, self._relay
        if relay is not None:
            return relay.blocked
        return connection is not None and not connection.reads

    def _settle(self) -> None:
        """Look whether all is here."""
        end, length = self._end, self._length
        if end is None or self.way is TransferState.OVER:
            return
        assert length is not None
        if self._moved > length:
            self._misbehaved(f"more body than its end says ({length})")
        elif self._moved == length:
            self.release()
            self._request.transfer_complete(end.trailers)
        elif self.way is TransferState.BROKEN:
            self._request.transfer_broke(self._short())

    def _short(self) -> GuestGone:
        length = "an unknown number" if self._length is None else self._length
        return GuestGone(f"the body broke off: {self._moved} of {length} bytes came")

    def _misbehaved(self, reason: str) -> None:
        self._request.transfer_misbehaved(GuestMisbehaved(reason))


@implementer(IBodyUser)
class RequestTransfer(_BodyTransfer):
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
        self._wait(GuestGone("the application closed the connection of the request's body"))
