"""
A data connection to another process, dialled from here (docs/protocol.md, "Data connections").

It carries one body after the other: of answers of guests here, and of requests for them. Each
begins with a C{connect} that claims a token, which the other process has made for it. What comes
before the answer to the first one is nobody's body; until then whoever wants it can go another way.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final
from typing import Protocol as Structure

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable
from subproxy.relay.receiving import TRANSITIONS as RECEIVING_TRANSITIONS
from subproxy.relay.receiving import ReceivingState
from subproxy.relay.socket_lease import SendingLease, grow_send_buffer, lend_reading
from subproxy.wire import messages as m
from subproxy.wire.errors import RemoteProtocolError
from subproxy.wire.frames import FrameDecoder

ANSWER_TIME: Final = 2.0
"""Seconds from the beginning of the dial until the other process must have taken the token."""

IDLE_TIME: Final = 15.0
"""Seconds for which an idle one is kept: less than the other process keeps it."""

LINGER_TIME: Final = 60.0
"""Seconds for which what was sent may still be on its way to who asks nothing any more."""

LONGEST_FRAME: Final = 1024
"""Bytes of what the other process may say on it, which is a C{connect} or an C{end}."""


@fast_enum
class PeerDataState(Enum):
    """What a data connection does."""

    NEW = auto()
    DIALLING = auto()
    """It is not reached yet, or not known to be who is wanted."""
    ASKING = auto()
    """It has claimed its first token, and waits for the answer."""
    BUSY = auto()
    """It carries a body, or has claimed a token for one."""
    SENT = auto()
    """A body was sent; the other process will say when it has come."""
    IDLE = auto()
    CLOSING = auto()
    """What was written is to leave, and nothing follows."""
    CLOSED = auto()

    @property
    def unfinished(self) -> bool:
        """Whether something was sent that may not have come."""
        return self is PeerDataState.SENT or self is PeerDataState.CLOSING


DATA_TRANSITIONS: TransitionTable[PeerDataState] = TransitionTable(
    {
        PeerDataState.NEW: [PeerDataState.DIALLING],
        PeerDataState.DIALLING: [PeerDataState.ASKING, PeerDataState.CLOSED],
        PeerDataState.ASKING: [PeerDataState.BUSY, PeerDataState.CLOSED],
        PeerDataState.BUSY: [
            PeerDataState.SENT,
            PeerDataState.IDLE,
            PeerDataState.CLOSING,
            PeerDataState.CLOSED,
        ],
        PeerDataState.SENT: [PeerDataState.IDLE, PeerDataState.CLOSED],
        PeerDataState.IDLE: [PeerDataState.BUSY, PeerDataState.CLOSED],
        PeerDataState.CLOSING: [PeerDataState.CLOSED],
        PeerDataState.CLOSED: [],
    }
)


class DataUser(Structure):
    """Whose body it carries."""

    def claimed(self) -> None:
        """The body goes this way."""

    def unclaimed(self) -> None:
        """No connection can be had, and nothing of the body has passed."""

    def came(self, data: bytes) -> None:
        """Some of the body came."""

    def writable(self) -> None:
        """What was written has left."""

    def lost(self) -> None:
        """The connection is gone amid the body."""


class DataKeeper(Structure):
    """Who has the data connections to a process."""

    def dial(self, connection: PeerDataConnection) -> Deferred[Any]:
        """Have C{connection} be what speaks with the other process; fires when that is dialled."""

    def keep(self, connection: PeerDataConnection) -> bool:
        """C{connection} is idle; False if it is not wanted."""

    def settled(self) -> None:
        """A body that was sent has come."""

    def gone(self, connection: PeerDataConnection) -> None:
        """C{connection} is closed, or was never there."""


@implementer(IPushProducer)
class PeerDataConnection(Protocol):
    """
    One of them.

    @ivar state: see L{PeerDataState}.
    @ivar ready: less waits to be written than the transport takes.
    """

    transport: Any

    def __init__(self, keeper: DataKeeper, clock: Any) -> None:
        self.state = PeerDataState.NEW
        self.ready = True
        self._keeper = keeper
        self._clock = clock
        self._user: DataUser | None = None
        self._claim = b""
        self._dialled: Deferred[Any] | None = None
        self._decoder = FrameDecoder(LONGEST_FRAME)
        self._receives = False
        self._receiving = ReceivingState.READING
        self._sending = SendingLease()
        self._timer: IDelayedCall | None = None

    def __repr__(self) -> str:
        return f"<PeerDataConnection {self.state.name.lower()}>"

    # Who wants it.

    def claim(self, number: int, token: bytes, user: DataUser) -> None:
        """Have it carry the body that C{token} is for; C{user} hears of it, perhaps at once."""
        self._user = user
        self._claim = m.Connect(number, token).encode()
        self._receives = False
        if self.state is PeerDataState.IDLE:
            self._wait(None)
            self._go(PeerDataState.BUSY)
            self.transport.write(self._claim)
            user.claimed()
            return
        self._go(PeerDataState.DIALLING)
        self._wait(ANSWER_TIME, self.abort)
        self._dialled = self._keeper.dial(self)
        self._dialled.addErrback(self._not_reached)

    @property
    def wanted(self) -> bool:
        """Whether it is still to be connected."""
        return self.state is PeerDataState.DIALLING

    def refused(self, reason: str) -> None:
        """Whoever is there is not who was meant, or does not let this one in."""
        if self.wanted:
            self._unclaimed()

    def receive(self) -> None:
        """Give the user what comes from now on."""
        self._receives = True

    def write(self, data: bytes) -> None:
        """Send some of a body."""
        self.transport.write(data)

    def sent(self) -> None:
        """All of a body was written: the other process will say when it has come."""
        self._user = None
        self._go(PeerDataState.SENT)
        self._look_for_end()

    def received(self) -> None:
        """All of a body has come."""
        self._user = None
        self._rest()

    def pause(self) -> None:
        """Read no more for now."""
        if self._receiving is ReceivingState.READING and self.state is PeerDataState.BUSY:
            self._receive(ReceivingState.PAUSED)
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on."""
        if self._receiving is ReceivingState.PAUSED:
            self._read_again()

    def _read_again(self) -> None:
        self._receive(ReceivingState.READING)
        self.transport.resumeProducing()

    def _receive(self, state: ReceivingState) -> None:
        self._receiving = RECEIVING_TRANSITIONS.move(self._receiving, state)

    # Where it is a plain socket, a relay may have it for a while.

    @property
    def lent(self) -> bool:
        """Whether somebody has its receiving side, or is about to."""
        return self._receiving is ReceivingState.LENT

    def lend_sending(self, then: Callable[[int], None]) -> None:
        """Give C{then} the descriptor when all that was written has left."""
        self._sending.lend(self.transport, then)

    def lend_receiving(self, then: Callable[[int], None]) -> None:
        """
        Read no more, and give the user what was read.

        @param then: is given the descriptor, now or later, unless the body is over by then.
        """
        user = self._user

        def quiet(data: bytes) -> None:
            if user is None or self._user is not user:
                return
            if data:
                user.came(data)
            if self._user is user and self._receiving is ReceivingState.LENT:
                then(self.transport.fileno())

        self._receive(ReceivingState.LENT)
        lend_reading(self.transport, quiet)

    def returned(self) -> None:
        """What was lent of its receiving side is its own again."""
        if self._receiving is ReceivingState.LENT:
            self._read_again()

    def linger(self) -> None:
        """The other process asks nothing any more: what was sent may still come."""
        if self.state.unfinished:
            self._wait(LINGER_TIME, self.abort)

    def close(self) -> None:
        """Close it, idle as it is."""
        if self.state is PeerDataState.IDLE:
            self._over()
            self.transport.loseConnection()

    def finish(self) -> None:
        """All that its user had is written, and nothing more comes: close it behind that."""
        self._user = None
        self._go(PeerDataState.CLOSING)
        self.transport.loseConnection()

    def release(self) -> None:
        """Its user has no use for it any more: close it at once."""
        self._user = None
        self.abort()

    def abort(self) -> None:
        """Close it at once; its user hears of that."""
        was, user = self.state, self._user
        if was is PeerDataState.CLOSED:
            return
        self._over()
        if was is PeerDataState.DIALLING:
            assert self._dialled is not None
            self._dialled.cancel()
        else:
            self.transport.abortConnection()
        self._tell(was, user)

    # The transport.

    def connectionMade(self) -> None:
        """The other process is there, and known: claim."""
        self._go(PeerDataState.ASKING)
        self.transport.registerProducer(self, True)
        grow_send_buffer(self.transport)
        self.transport.write(self._claim)

    def dataReceived(self, data: bytes) -> None:
        """The other process said something, or sends a body."""
        if self.state is PeerDataState.ASKING:
            self._decoder.feed(data)
            if self._frame_of(m.Connect) is None:
                return
            data = self._decoder.take_rest()
            self._wait(None)
            self._go(PeerDataState.BUSY)
            user = self._user
            assert user is not None
            user.claimed()
            if not data:
                return
        if self.state is PeerDataState.BUSY and self._receives:
            assert self._user is not None
            self._user.came(data)
        elif self.state is PeerDataState.BUSY or self.state is PeerDataState.SENT:
            self._decoder.feed(data)
            self._look_for_end()
        elif self.state is PeerDataState.IDLE:
            self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone."""
        was, user = self.state, self._user
        if was is not PeerDataState.CLOSED:
            self._over()
            self._tell(was, user)

    def pauseProducing(self) -> None:
        """The other process does not read as fast as is written."""
        self.ready = False

    def resumeProducing(self) -> None:
        """It has read."""
        self.ready = True
        self._sending.resumed(self.transport)
        if self._user is not None and self.state is PeerDataState.BUSY:
            self._user.writable()

    def stopProducing(self) -> None:
        """The transport is going: L{connectionLost} says the rest."""

    def _not_reached(self, failure: Failure) -> None:
        if self.wanted:
            self._unclaimed()

    def _unclaimed(self) -> None:
        user = self._user
        self._over()
        self._tell(PeerDataState.DIALLING, user)

    def _tell(self, was: PeerDataState, user: DataUser | None) -> None:
        if user is None:
            return
        if was in (PeerDataState.DIALLING, PeerDataState.ASKING):
            user.unclaimed()
        else:
            user.lost()

    def _frame_of(self, kind: type[Any]) -> Any:
        """The next message, once it is whole; the connection ends if it is no C{kind}."""
        try:
            frame = self._decoder.next()
            if frame is None:
                return None
            message = m.parse(frame)
            if isinstance(message, kind):
                return message
        except RemoteProtocolError:
            pass
        self.abort()
        return None

    def _look_for_end(self) -> None:
        """See whether it was said that a body came: perhaps before its end was told."""
        if self.state is not PeerDataState.SENT:
            if self._decoder.pending > LONGEST_FRAME:
                self.abort()
        elif self._frame_of(m.End) is not None:
            if self._decoder.pending:
                self.abort()
            else:
                self._rest()
                self._keeper.settled()

    def _rest(self) -> None:
        """Nothing is under way."""
        self._go(PeerDataState.IDLE)
        self.returned()
        self.resume()
        if self._keeper.keep(self):
            self._wait(IDLE_TIME, self.close)
        else:
            self.close()

    def _over(self) -> None:
        was = self.state
        self._go(PeerDataState.CLOSED)
        self._user = None
        self._sending.void()
        self._wait(None)
        self._keeper.gone(self)
        if was.unfinished:
            self._keeper.settled()

    def _wait(self, seconds: float | None, then: Callable[[], None] | None = None) -> None:
        """Call C{then} if nothing happens for so long; None: it has happened."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if seconds is not None:
            self._timer = self._clock.callLater(seconds, then)

    def _go(self, state: PeerDataState) -> None:
        self.state = DATA_TRANSITIONS.move(self.state, state)
