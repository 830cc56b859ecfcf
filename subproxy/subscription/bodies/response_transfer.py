"""
A response body that goes over a data connection.

Its token is given to the guest when its head has come; or before, with the request, and then the
connection that claims it may be here before the head is.

Compiled a second time: L{subproxy.fastpath._fast_body}, L{subproxy.fastpath._download} and
L{subproxy.fastpath._upload} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from zope.interface import implementer

from subproxy.errors import GuestGone, GuestMisbehaved, GuestSlow
from subproxy.relay.socket_lease import read_at_most
from subproxy.relay.splice import LEAST
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.bodies.interfaces import IBodyUser
from subproxy.subscription.bodies.tokens import PendingClaim
from subproxy.subscription.bodies.transfer import BodyTransfer, TransferState
from subproxy.subscription.context import GuestContext
from subproxy.subscription.interfaces import TransferRequest
from subproxy.wire import messages as m
from subproxy.wire.limits import MAX_NUMBER


@implementer(IBodyUser)
class ResponseTransfer(BodyTransfer):
    """
    A response body.

    @param length: of it, if the guest has told; else C{end} tells.
    @param headed: its head has come; else its token went with the request, and L{begin} is called
        when it has.
    """

    def __init__(
        self,
        request: TransferRequest,
        context: GuestContext,
        length: int | None,
        promise: PendingClaim[DataConnection] | None = None,
        moved: int = 0,
        headed: bool = True,
    ) -> None:
        super().__init__(request, context, promise, headed)
        self._headed = headed
        self._length = length
        self._told = length is not None
        self._moved = moved
        self._end: m.End | None = None

    def all_came(self) -> None:
        """All has been moved by somebody else, and its connection is free again."""
        self._go(TransferState.CARRIED)

    def adopt_held(self, connection: DataConnection) -> None:
        """C{connection} has claimed the token, and waits for the head."""
        self._go(TransferState.CARRIED)
        self._connection = connection

    def begin(self, length: int) -> None:
        """The head has come, and says that the guest uses the token that its request had."""
        self._headed = self._told = True
        self._length = length
        if self.way is TransferState.PROMISED:
            self._tokens.lapse(self._promise)
        elif self._connection is not None:
            self._receive(self._connection)
        else:
            self._request.transfer_broke(self._short())

    def _claimed(self, connection: DataConnection) -> None:
        super()._claimed(connection)
        if self._headed:
            self._receive(connection)
        else:
            connection.hold(self)

    def _receive(self, connection: DataConnection) -> None:
        read_at_most(connection.transport, self._request.exchange.sink.read_size)
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
        if not self._headed:
            return
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
