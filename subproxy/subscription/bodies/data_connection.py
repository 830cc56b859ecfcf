"""
A data connection: raw bytes of one body after the other (docs/protocol.md, "Data connections").

It belongs to an identity, not to a subscription. Each body begins with a C{connect} that claims
a token; what the token was issued for, a L{IBodyUser}, then has the connection until
its body is complete. L{DataConnection} knows nothing of HTTP.

Compiled a second time: L{subproxy.fastpath._claim_watch}
(see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from subproxy.core.reentrancy import ReentrancyGuard
from subproxy.relay.receiving import TRANSITIONS as RECEIVING_TRANSITIONS
from subproxy.relay.receiving import ReceivingState
from subproxy.relay.socket_lease import (
    SendingLease,
    can_lend,
    grow_send_buffer,
    is_flushed,
    lend_reading,
)
from subproxy.subscription.bodies.connect_peeker import ConnectPeeker
from subproxy.subscription.bodies.data_connection_state import TRANSITIONS, DataConnectionState
from subproxy.subscription.bodies.interfaces import ConnectWatch
from subproxy.subscription.bodies.tokens import Tokens
from subproxy.subscription.close_reason import GuestCloseReason
from subproxy.subscription.interfaces import RawConnection
from subproxy.subscription.log_limiter import WARN
from subproxy.wire import messages as m
from subproxy.wire.errors import RemoteProtocolError, StateError
from subproxy.wire.frames import Frame, FrameDecoder
from subproxy.wire.limits import MAX_NUMBER

MOST_HELD = 65_536
"""Bytes of a body that came and have not left for the client before the guest must wait."""

_LONGEST_CONNECT = 1024


class DataConnection:
    """
    The proxy's end.

    @ivar identity: which VM is at the other end.
    @ivar transport: its transport.
    @ivar state: see L{DataConnectionState}.
    @ivar receiving: who takes what the guest sends on it.
    @ivar ready: less waits to be written than the transport's buffer takes.
    @ivar count: bodies that it has carried, or carries.
    """

    def __init__(
        self,
        connection: RawConnection,
        tokens: Tokens[DataConnection],
        clock: IReactorTime,
        idle_timeout: float,
    ) -> None:
        self.transport: Any = connection.transport
        self.identity = connection.identity
        self._say = connection.say
        self._offend = connection.offend
        self._close_transport = connection.close_transport
        self.state = DataConnectionState.IDLE
        self.ready = True
        self.count = 0
        self._exchange = 0
        self._tokens = tokens
        self._clock = clock
        self._idle_timeout = idle_timeout
        self._idle: IDelayedCall | None = None
        self._idle_until = 0.0
        self._decoder = FrameDecoder(_LONGEST_CONNECT)
        self._user: Any = None
        self._left: int | None = None  # of the body that comes; None: until its end is told
        self._owed = 0  # bytes that the user has not got rid of
        self.receiving = ReceivingState.READING
        self._sending = SendingLease()
        self._parsing = ReentrancyGuard()
        self._wide = False  # the kernel holds more of what is sent
        self._watch: ConnectWatch | None = None

    def __repr__(self) -> str:
        return f"<DataConnection {self.identity} {self.state.name.lower()} #{self.count}>"

    @property
    def reads(self) -> bool:
        """Whether the transport is to read: neither the client nor a relay forbids it."""
        return self.receiving is ReceivingState.READING

    # The guest speaks.

    def connect(self, message: m.Connect, answer: bytes = b"", rest: bytes = b"") -> None:
        """
        The guest says whose body comes next.

        @param answer: what to say if it may.
        @param rest: what it has sent after that.
        """
        if rest:
            self._decoder.feed(rest)
        claim = self._tokens.claim(self.identity, message.exchange, message.token)
        if isinstance(claim, str):
            # Nobody is to blame for a void one: while it was dialled, the client has left, or its
            # answer has come.
            if claim != "void":
                self._say(
                    WARN,
                    "{identity} claims a data connection for exchange {exchange} with a token "
                    "that is not good ({reason}): closed",
                    exchange=message.exchange,
                    reason=claim,
                )
            if claim in ("unknown", "foreign"):
                self._offend()
            self.abort(GuestCloseReason.BAD_TOKEN)
            return
        count = self.count
        self._exchange = message.exchange
        if answer:
            self.transport.write(answer)
        claim.claimed(self)
        if self.count == count:
            # Whoever it was for has no use for it any more.
            self.abort(GuestCloseReason.NOT_NEEDED)

    def dataReceived(self, data: bytes) -> None:
        """Bytes came."""
        state = self.state
        if state is DataConnectionState.RECEIVING or state is DataConnectionState.DUPLEX:
            self._body_came(data)
        elif state is DataConnectionState.HELD:
            self._decoder.feed(data)
        elif state is DataConnectionState.SPENT:
            self.abort(GuestCloseReason.PROTOCOL)
        elif state is not DataConnectionState.CLOSED:
            self._decoder.feed(data)
            if state is DataConnectionState.IDLE:
                self._next()
            elif self._decoder.pending > _LONGEST_CONNECT:
                self._much_came()

    def _much_came(self) -> None:
        """More than a claim came while a body is sent."""
        if self._left != 0:
            user = self._user
            self.abort(GuestCloseReason.PROTOCOL)
            if user is not None:
                user.connectionGone()
        elif self.receiving is ReceivingState.READING:
            # The guest has all of the body, and goes on before its end is told: that waits.
            self._pause()

    def _next(self) -> None:
        """Look for a C{connect} in what is held."""
        if self._parsing.depth:
            return
        with self._parsing:
            try:
                while self.state is DataConnectionState.IDLE:
                    frame = self._decoder.next()
                    if frame is None:
                        break
                    self.frame_came(frame)
            except RemoteProtocolError as error:
                self._broken(error)

    def frame_came(self, frame: Frame) -> None:
        """Take a whole frame, which came while the connection was idle."""
        try:
            message = m.parse(frame)
            if not isinstance(message, m.Connect):
                raise StateError("a data connection carries nothing but bodies")
        except RemoteProtocolError as error:
            self._broken(error)
        else:
            self.connect(message)

    def _broken(self, error: RemoteProtocolError) -> None:
        self._say(WARN, "{identity} broke the protocol on a data connection: {error}", error=error)
        self._offend()
        self.abort(GuestCloseReason.PROTOCOL)

    def _body_came(self, data: bytes) -> None:
        left = self._left
        if left is not None:
            if len(data) > left:
                self._decoder.feed(data[left:])
                data = data[:left]
            self._left = left = left - len(data)
        self._owed += len(data)
        user = self._user
        user.bodyReceived(data)
        if self._user is not user:
            return
        if left == 0:
            self._carried()
            user.bodyComplete()
            self._next()
        elif self._owed >= MOST_HELD and self.receiving is ReceivingState.READING:
            self._pause()

    # The user of the moment.

    def receive(self, user: Any, length: int | None) -> None:
        """
        Give C{user} the bytes that come.

        @param length: how many; None if the guest will tell: then nothing follows on
            this connection, and C{bodyComplete} is not called.
        """
        if self.state is DataConnectionState.HELD:
            self._go(DataConnectionState.RECEIVING)
            self._left = length
            if self.receiving is ReceivingState.PAUSED:
                self._read_again()
        else:
            self._carry(DataConnectionState.RECEIVING, user, length)
        rest = self._decoder.take_rest()
        if length == 0:
            self._decoder.feed(rest)
            self._carried()
            user.bodyComplete()
        elif rest:
            self._body_came(rest)

    def hold(self, user: Any) -> None:
        """C{user} does not know yet how much comes: that waits for L{receive}."""
        self._carry(DataConnectionState.HELD, user, None)
        if self.receiving is ReceivingState.READING:
            self._pause()

    # A tunnel.

    def carry_tunnel(self, user: Any) -> None:
        """C{user} writes to it; what comes waits for L{duplex}."""
        self._carry(DataConnectionState.HELD, user, None)
        if not self._wide:
            self.widen()
        self.take_back()
        self._pause()

    def duplex(self) -> None:
        """Give the user the bytes that come, and those that have come, until it is over."""
        self._go(DataConnectionState.DUPLEX)
        if self.receiving is ReceivingState.PAUSED:
            self._read_again()
        rest = self._decoder.take_rest()
        if rest:
            self._body_came(rest)

    def spent(self) -> None:
        """Both halves have ended, and this one carries nothing more: the guest closes it."""
        self._user = None
        self._go(DataConnectionState.SPENT)
        self._idle_until = self._clock.seconds() + self._idle_timeout
        if self._idle is None:
            self._idle = self._clock.callLater(self._idle_timeout, self._idled)
        if self.receiving is ReceivingState.PAUSED:
            self._read_again()

    def used_by(self, user: Any) -> None:
        """The body under way is C{user}'s from now on; of a connection that is closed nobody's."""
        if self.state is not DataConnectionState.CLOSED:
            self._user = user

    def consumed(self, amount: int) -> None:
        """C{amount} bytes that C{user} was given have left for the client."""
        self._owed = max(0, self._owed - amount)
        if self.receiving is ReceivingState.PAUSED and self._owed < MOST_HELD // 2:
            self._read_again()

    # Who takes what comes.

    def _pause(self) -> None:
        """Read no more for now."""
        self._receive(ReceivingState.PAUSED)
        self.transport.pauseProducing()

    def _read_again(self) -> None:
        """Nothing keeps the transport from reading any more."""
        self._receive(ReceivingState.READING)
        self.transport.resumeProducing()

    def lend_to(self, quiet: Callable[[bytes], None]) -> None:
        """Lend the receiving side; C{quiet} is given what had been read already, now or later."""
        self._receive(ReceivingState.LENT)
        lend_reading(self.transport, quiet)

    def _receive(self, state: ReceivingState) -> None:
        self.receiving = RECEIVING_TRANSITIONS.move(self.receiving, state)

    # The descriptor is lent to a relay.

    @property
    def lendable(self) -> bool:
        """Whether the transport is a plain socket."""
        return can_lend(self.transport)

    def lendReceiving(self, then: Callable[[int, int], None]) -> None:
        """
        Stop reading, and give the user what was read.

        @param then: is given the descriptor and how many bytes are to come, now or later, unless
            the body is complete or the connection is closed before that.
        """
        user = self._user

        def quiet(data: bytes) -> None:
            if data and self._user is user and self.receiving is ReceivingState.LENT:
                self._body_came(data)
            if self._user is user and self.receiving is ReceivingState.LENT:
                left = MAX_NUMBER if self._left is None else self._left
                then(self.transport.fileno(), left)

        if self.receiving is ReceivingState.LENT:
            quiet(b"")
        else:
            self.lend_to(quiet)

    def take_back(self) -> None:
        """The transport reads again."""
        if self.receiving is ReceivingState.LENT:
            self._read_again()

    def returned(self, taken: int) -> None:
        """The receiving side is ours again; C{taken} bytes of the body were taken from it."""
        if self.state is DataConnectionState.DUPLEX:
            self.take_back()
        if self.state is not DataConnectionState.RECEIVING:
            return
        if self._left is not None:
            self._left -= taken
        if self._left != 0:
            self.take_back()
            return
        user = self._user
        self._carried()
        user.bodyComplete()
        self._next()

    def lendSending(self, then: Callable[[int], None]) -> None:
        """Give C{then} the descriptor when all that was written has left."""
        self._sending.lend(self.transport, then)

    def send(self, user: Any) -> None:
        """C{user} writes a body."""
        self._carry(DataConnectionState.SENDING, user, None)
        if not self._wide:
            self.widen()
        self.take_back()

    def widen(self) -> None:
        """Let the kernel hold more of what is sent here: once, before the first body."""
        self._wide = True
        grow_send_buffer(self.transport)

    def write(self, data: bytes) -> None:
        """Send more of the body."""
        self.transport.write(data)

    def all_written(self) -> None:
        """The body has as many bytes as were announced: the guest may go on when it has them."""
        self._left = 0

    def sent(self) -> None:
        """All of the body has been written, and its end was told."""
        self._carried()
        self._next()

    def _carry(self, state: DataConnectionState, user: Any, left: int | None) -> None:
        """A body begins, or a tunnel."""
        self._go(state)
        self.count += 1
        self._user = user
        self._left = left
        self._owed = 0

    def _carried(self) -> None:
        """A body is over: the next one may come."""
        if self.state is DataConnectionState.RECEIVING:
            # That all was sent is not that all has come: without this a guest could claim the next
            # token on a connection that we close amid the body, because the client has left.
            taken = m.End(self._exchange).encode()
            if self._watch is None or not is_flushed(self.transport) or not self._watch.send(taken):
                self.transport.write(taken)
        self._user = None
        self._owed = 0
        if self.receiving is ReceivingState.LENT:
            if self._decoder.pending or not self._watches():
                self._read_again()
        elif self.receiving is ReceivingState.PAUSED:
            self._read_again()
        self._go(DataConnectionState.IDLE)
        self.rests()

    def rests(self) -> None:
        """Count from now how long the connection is idle."""
        # One call serves for many bodies, and looks when it comes: a timer a body costs more.
        self._idle_until = self._clock.seconds() + self._idle_timeout
        if self._idle is None:
            self._idle = self._clock.callLater(self._idle_timeout, self._idled)

    def _watches(self) -> bool:
        """Look for the next C{connect} beside the transport, if there is a descriptor for that."""
        if self._watch is None:
            try:
                self._watch = self.make_watch()
            except OSError:
                return False
        self._watch.start()
        return True

    def make_watch(self) -> ConnectWatch:
        """
        Make what looks for the next C{connect}.

        @raise OSError: there is no descriptor for it.
        """
        return ConnectPeeker(self._clock, self.transport.fileno(), self.frame_came, self.take_back)

    def _idled(self) -> None:
        self._idle = None
        if self.state in (DataConnectionState.IDLE, DataConnectionState.SPENT):
            left = self._idle_until - self._clock.seconds()
            if left > 0:
                self._idle = self._clock.callLater(left, self._idled)
            else:
                self.abort(GuestCloseReason.IDLE)

    # The connection.

    def pauseProducing(self) -> None:
        """The guest does not read as fast as is written."""
        self.ready = False

    def resumeProducing(self) -> None:
        """It has read."""
        self.ready = True
        if self._user is not None:
            self._user.writable()
        self._sending.resumed(self.transport)

    def abort(self, why: GuestCloseReason) -> None:
        """Close: what is under way is over."""
        if self.state is not DataConnectionState.CLOSED:
            self._end()
            self._close_transport(why)

    def connectionLost(self) -> None:
        """It is closed."""
        if self.state is not DataConnectionState.CLOSED:
            user = self._user
            self._end()
            if user is not None:
                user.connectionGone()

    def broke(self) -> None:
        """Somebody else has found that it is broken."""
        if self.state is not DataConnectionState.CLOSED:
            self.connectionLost()
            self._close_transport(GuestCloseReason.BROKE)

    def _end(self) -> None:
        self._go(DataConnectionState.CLOSED)
        self._user = None
        self._sending.void()
        idle, self._idle = self._idle, None
        if idle is not None and idle.active():
            idle.cancel()
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()

    def _go(self, state: DataConnectionState) -> None:
        self.state = TRANSITIONS.move(self.state, state)
