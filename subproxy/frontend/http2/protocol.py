"""
HTTP/2: the shell around L{Http2Connection}, which has the rules; here are its bytes and its time.

What comes in one read is dealt with before anything is written, and what a turn of the reactor
has to say goes out in one write: over TLS, each would be a record.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.reentrancy import ReentrancyGuard
from subproxy.errors import GuestSlow, RequestTimeout
from subproxy.frontend.connection_state import ConnectionState
from subproxy.frontend.context import FrontendContext
from subproxy.frontend.deadlines import NEVER
from subproxy.frontend.http2.bounds import CONNECTION_WINDOW, WRITE_BUFFER
from subproxy.frontend.http2.connection import Http2Connection
from subproxy.frontend.http2.ending import (
    ENDINGS,
    HEARD_LIMIT,
    LONG_QUIET_LIMIT,
    QUIET_FOR,
    QUIET_LIMIT,
    Ending,
)
from subproxy.frontend.http2.flood import Flood, FloodGuard
from subproxy.frontend.http2.frames import ErrorCode, Frame, FrameReader, Http2Error
from subproxy.frontend.http2.requests import Http2Requests
from subproxy.frontend.http2.served_request import Late, ServedRequest
from subproxy.relay.receiving import ReceivingState
from subproxy.telemetry.close_reason import CloseReason

A_WRITE: Final = WRITE_BUFFER + 16_384
"""Bytes of data that are given to the transport at once: so many that it says when it has room."""


LATE_AT_ONCE: Final = 4
"""Streams of one connection that are given up at once for what took too long, at a tenth of a
millisecond each: a hundred of them would hold up all others."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class Http2Protocol(Http2Requests):
    """
    The server's side of one client connection.
    """

    def __init__(
        self, context: FrontendContext, connection: Http2Connection, guard: FloodGuard
    ) -> None:
        super().__init__(context, connection)
        self._guard = guard
        self._reader = FrameReader()
        self._turns = ReentrancyGuard()  # what ends with a flush
        self._flush_called = False
        self._discarded = 0
        self._head_waits = True  # the preface, or a block of fields, is not whole
        self._end_reason = CloseReason.LAST_ANSWER
        self._tell_by = NEVER
        self._quiet_at = 0.0
        self._seen = 0  # requests at the last look, since it is to end

    @property
    def busy(self) -> int:
        """How many requests are under way."""
        return 0 if self._over else self.connection.counts.open

    # IProtocol and IHalfCloseableProtocol.

    def connectionMade(self) -> None:
        """A client connected."""
        if self.opened():
            self.begin()

    def begin(self) -> None:
        """Say what we are, and wait for what the client is."""
        self.transport.bufferSize = WRITE_BUFFER
        self.connection.begin(self.context.web_sockets())
        self.wait(self.context.limits.header_timeout)
        self.flush()

    def dataReceived(self, data: bytes) -> None:
        """Bytes came from the client."""
        if self._over:
            self.discard(len(data))
            return
        try:
            self.frames_came(self._reader.read(data))
        except Http2Error as error:
            self.fail_connection(error)

    def frames_came(self, frames: Iterable[Frame]) -> None:
        """
        Frames came from the client.

        @raise Http2Error: the connection has to end.
        """
        now = self.context.monotonic()
        receive = self.connection.receive
        with self._turns:
            for frame in frames:
                event = receive(frame, now)
                if event is not None:
                    self.handle(event, now)
                if self._over:
                    break
            self._begin_bodies(now)
        self.turn_over()

    def discard(self, size: int) -> None:
        """So many bytes came of a client that was sent away: no more than it may have under way."""
        self._discarded += size
        if self._discarded > CONNECTION_WINDOW and self.state is ConnectionState.LINGERING:
            self.close(CloseReason.LINGER_TIMEOUT)

    @property
    def _over(self) -> bool:
        return self.state is ConnectionState.OVER or self.state is ConnectionState.LINGERING

    def readConnectionLost(self) -> None:
        """The client sends no more, and so takes no more: nothing can be told of its windows."""
        self.receive(ReceivingState.ENDED)
        if not self._over:
            reason = CloseReason.CLIENT_LEFT if self.served else CloseReason.CLIENT_DONE
            self._cancel_all()
            self.close(reason)
        elif self.state is ConnectionState.LINGERING:
            self.close(CloseReason.CLIENT_DONE)

    def fin_came(self) -> None:
        """See L{ClientConnection}."""
        self.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """Our own half of the connection is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone, or was sent away."""
        self.transport_lost()
        self._cancel_all()

    def drained(self) -> None:
        """See L{ClientConnection}."""
        self.flush()
        self._look_ahead()

    # What a request asks for.

    def wrote(self) -> None:
        """Something waits to be sent: send it when the turn is over."""
        if not self._turns.depth and not self._flush_called:
            self._flush_called = True
            self.call_flush()

    def call_flush(self) -> None:
        """Have L{flush_called} called before the reactor sleeps."""
        self.context.clock.callLater(0, self.flush_called)

    def flush_called(self) -> None:
        """The turn is over."""
        self._flush_called = False
        self.turn_over()

    def turn_over(self) -> None:
        """Write what waits, and see what the connection waits for then."""
        self.flush()
        self._look_at_state()

    # Bytes go.

    def flush(self) -> None:
        """Write what waits, as far as the client takes it."""
        if self._turns.depth:
            return
        sender = self.connection.sender
        more = sender.pending(self.writable)
        if not more and not self._later:
            return
        with self._turns:
            while more and not self._over:
                self._write_some()
                more = sender.pending(self.writable)
            if self._later and not sender.crowded and not self._over:
                self._go_on()
                self._wrote_in_turn()

    def _write_some(self) -> None:
        """Write what waits, up to L{A_WRITE}."""
        sender = self.connection.sender
        pieces = sender.take(A_WRITE if self.writable else 0)
        if pieces:
            self.writeSequence(pieces)
        if sender.moved or sender.ended:
            self._settle()

    def _wrote_in_turn(self) -> None:
        """As L{wrote}, in the middle of a turn."""
        if not self._flush_called:
            self._flush_called = True
            self.call_flush()

    # Time passes.

    def _look_at_state(self) -> None:
        """What the connection waits for may have changed."""
        if self._over:
            return
        connection, limits = self.connection, self.context.limits
        counts = connection.counts
        if counts.open:
            if self.state is ConnectionState.IDLE:
                self.go(ConnectionState.ANSWERING)
                self.due = NEVER
        elif self.state is ConnectionState.ANSWERING:
            self.go(ConnectionState.IDLE)
            self.takes = None
            self.wait(limits.keepalive_timeout)
        waits = not connection.greeted or connection.partial
        if waits != self._head_waits:
            self._head_waits = waits
            if waits:
                self.wait(limits.header_timeout)
            elif self.state is ConnectionState.IDLE:
                self.wait(limits.keepalive_timeout)
            else:
                self.due = NEVER
        if self.ending is Ending.STAYS:
            if self.context.status.draining:
                self._end(CloseReason.DRAINING)
            elif counts.requests >= limits.requests:
                self._end(CloseReason.LAST_ANSWER)
        if self.ending is Ending.QUIETENS and self._is_quiet():
            self.ending = ENDINGS.move(self.ending, Ending.TOLD)
            connection.sender.go_away()
            self._write_control()
        if self.ending is Ending.TOLD and not counts.open:
            self.due = min(self.due, self.context.monotonic() + HEARD_LIMIT)
        elif self.ending is Ending.HEARD and not counts.open:
            self._finish()
        self._look_ahead()

    def _is_quiet(self) -> bool:
        """Whether nothing has been under way for a moment, or that has been waited for too long."""
        now = self.context.monotonic()
        counts = self.connection.counts
        if counts.open or counts.requests != self._seen:
            # Also if it was answered before anybody looked.
            self._seen = counts.requests
            self._quiet_at = now + QUIET_FOR
        if counts.open:
            return now >= self._tell_by
        if now >= min(self._quiet_at, self._tell_by):
            return True
        self.due = min(self.due, self._quiet_at)
        return False

    def _look_ahead(self) -> None:
        """Have the sweeper look when the deadline passes; at every sweep while requests are."""
        self.deadline = 0.0 if self.served or not self.writable else self.due

    def deadline_passed(self, now: float) -> bool:
        """The sweeper looks: who took too long? True if there may be more of them."""
        takes = self.takes
        if (
            takes is not None
            and (self.state is ConnectionState.OVER or not self.writable)
            and self._takes_too_slowly(takes, now)
        ):
            self.close(CloseReason.SLOW_READER)
        elif now >= self.due:
            self.due = NEVER
            self.late()
        if self._over:
            return False
        try:
            more = self._look_at_all(now)
        except Http2Error as error:
            self.fail_connection(error)
            return False
        self.turn_over()
        return more

    def _look_at_all(self, now: float) -> bool:
        """
        Give up what took too long, L{LATE_AT_ONCE} of it; whether that was as many as it may be.

        @raise Http2Error: that was once too often.
        """
        late = 0
        for served in list(self.served.values()):
            late += self._look_at(served, now)
            if self._over:
                # The last reset was one too many; the others are over, and know no answer any more.
                return False
            if late == LATE_AT_ONCE:
                return True
        return False

    def _look_at(self, served: ServedRequest, now: float) -> bool:
        """
        Give up one request if it took too long; whether it did.

        @raise Http2Error: that was once too often.
        """
        late, exchange = served.late(now), served.client_stream.exchange
        if late is Late.REST:
            self._reset(served, ErrorCode.NO_ERROR)
        elif late is Late.ANSWER and exchange is not None:
            exchange.fail(GuestSlow())
        elif late is Late.TUNNEL:
            served.abandon()
            self._reset(served, ErrorCode.CANCEL)
        elif late is Late.BODY:
            self.refuse(served, RequestTimeout("the request body came too slowly"))
        elif late is Late.WINDOW:
            self._guard.happened(Flood.STALLED, now)
            self._reset(served, ErrorCode.ENHANCE_YOUR_CALM)
        return late is not None

    def slow(self) -> None:
        """Never called: the bodies of streams are looked at one by one."""

    def late(self) -> None:
        """The deadline of the state has passed."""
        if self.state is ConnectionState.LINGERING:
            self.lingered()
        elif self._head_waits:
            self.fail_connection(Http2Error(ErrorCode.PROTOCOL_ERROR, "it came too slowly"))
        elif self.ending is Ending.STAYS:
            self._end(CloseReason.KEEPALIVE_TIMEOUT)
        elif self.ending is not Ending.QUIETENS:
            self._finish()

    # The connection ends.

    def close_if_idle(self) -> None:
        """Close the connection when what is under way is answered."""
        if not self._over and self.ending is Ending.STAYS:
            self._end(CloseReason.DRAINING)
            self.turn_over()

    def _end(self, reason: CloseReason) -> None:
        """Begin to end the connection, for C{reason}: see L{subproxy.frontend.http2.ending}."""
        now = self.context.monotonic()
        self._end_reason = reason
        self._tell_by = now + (
            LONG_QUIET_LIMIT if reason is CloseReason.LAST_ANSWER else QUIET_LIMIT
        )
        # Who has idled for long is quiet.
        self._quiet_at = now + (0.0 if reason is CloseReason.KEEPALIVE_TIMEOUT else QUIET_FOR)
        self.ending = ENDINGS.move(self.ending, Ending.QUIETENS)

    def _finish(self) -> None:
        """Nothing is open, and the client knows, or could."""
        self.connection.refuses = True
        self.connection.sender.finish()
        self._write_control()
        self.close(self._end_reason)

    def fail_connection(self, error: Http2Error) -> None:
        """The client broke a rule: tell it which, behind what was answered before, and close."""
        if self._over:
            return
        sender = self.connection.sender
        if sender.pending(self.writable):
            self._write_some()
            if self._over:
                # What was told that there is room has failed, once too often.
                return
        sender.fail(error)
        self._write_control()
        self.close_reason = self.close_reason or CloseReason.HTTP2_ERROR
        self._cancel_all()
        self.close(CloseReason.HTTP2_ERROR)

    def _write_control(self) -> None:
        """Write what belongs to no stream."""
        pieces = self.connection.sender.take(0)
        if pieces:
            self.writeSequence(pieces)

    @property
    def _may_be_sending(self) -> bool:
        """The client may still be sending: it is about to hear that it should not."""
        ended = self.receiving is ReceivingState.ENDED
        return not ended and self.close_reason is CloseReason.HTTP2_ERROR
