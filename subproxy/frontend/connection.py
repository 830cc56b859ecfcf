"""
A client's connection below HTTP: what becomes of its bytes, how it closes, and by when.

What a connection does with bytes is its state, L{Reading}; what may follow what is in
L{TRANSITIONS}. RFC 9112 section 9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Protocol

from subproxy.core.forwarded import UNIX, Peer
from subproxy.frontend.deadlines import NEVER, Pace
from subproxy.frontend.tcp_info import bytes_taken
from subproxy.relay.lending import ask_when_written, can_lend, written

if TYPE_CHECKING:
    from subproxy.frontend.factory import Http1Factory
    from subproxy.frontend.upload import Upload


class Reading(Enum):
    """What becomes of the bytes that come in."""

    __hash__ = object.__hash__  # that of Enum is Python code, and costs a microsecond a request

    IDLE = auto()
    """They begin a request."""
    HEAD = auto()
    """They go on with a head of which some is held."""
    COLLECTING = auto()
    """They belong to a body that is collected before its request is dispatched."""
    STREAMING = auto()
    """They belong to a body that goes on as it comes."""
    ANSWERING = auto()
    """They belong to later requests, and are held: a whole request is being answered."""
    LINGERING = auto()
    """They are thrown away: the last answer has been written, and should arrive."""
    OVER = auto()
    """They mean nothing any more."""


TRANSITIONS: dict[Reading, frozenset[Reading]] = {
    Reading.IDLE: frozenset(Reading) - {Reading.IDLE},
    Reading.HEAD: frozenset(Reading) - {Reading.IDLE, Reading.HEAD},
    Reading.COLLECTING: frozenset({Reading.ANSWERING, Reading.LINGERING, Reading.OVER}),
    Reading.STREAMING: frozenset({Reading.ANSWERING, Reading.LINGERING, Reading.OVER}),
    Reading.ANSWERING: frozenset({Reading.IDLE, Reading.LINGERING, Reading.OVER}),
    Reading.LINGERING: frozenset({Reading.OVER}),
    Reading.OVER: frozenset({Reading.OVER}),
}


class ClientConnection(Protocol):
    """
    What each connection of a client has, whatever it asks for.

    @ivar state: what becomes of incoming bytes.
    @ivar deadline: when the sweeper should look at it (monotonic seconds).
    @ivar writable: the transport takes more: less than its buffer's size waits in it.
    """

    factory: Http1Factory
    transport: Any

    def __init__(self) -> None:
        self.state = Reading.IDLE
        self.deadline = NEVER
        self.writable = True
        self._due = NEVER  # the deadline of the state; `deadline` is sooner for a look at the pace
        self._held = b""  # bytes not yet parsed
        self._peer: Peer | None = None
        self._upload: Upload | None = None  # the request body, if it was not here with its head
        self._takes: Pace | None = None  # of the responses
        self._paused = False  # reading is
        self._half_closed = False
        self._borrower: Callable[[int], None] | None = None  # waits for what was written to leave
        self._lent = False  # the receiving side is

    def _meet(self) -> Peer:
        transport = self.transport
        address = getattr(transport.getPeer(), "host", None)
        return self.factory.forwarding.peer(
            UNIX if address is None else address.encode("ascii", "replace"),
            b"https" if ISSLTransport.providedBy(transport) else b"http",
        )

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
        transport = self.transport
        if self.state is Reading.OVER:
            return False
        if written(transport):
            then(transport.fileno())
        else:
            self._borrower = then
            ask_when_written(transport)
        return True

    def _lendWhatWasWritten(self) -> None:
        """Whoever waits for it may have the sending side, if all that was written has left."""
        borrower = self._borrower
        if borrower is not None and written(self.transport):
            self._borrower = None
            borrower(self.transport.fileno())

    # Time passes.

    def _wait(self, seconds: float) -> None:
        """Set the deadline of the state."""
        self._due = self.factory.monotonic() + seconds
        self._lookAhead()

    def _lookAhead(self) -> None:
        """Have the sweeper look when the deadline passes; at every sweep while a pace is kept."""
        upload = self._upload
        if self.writable and (upload is None or upload.complete):
            self.deadline = self._due
        else:
            self.deadline = 0.0

    def _expectTaking(self) -> None:
        if self._takes is None:
            self._takes = Pace(bytes_taken(self.transport) or 0)
        self._takes.start(self.factory.monotonic())

    # It closes.

    def _go(self, state: Reading) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} to {state}"
        self.state = state

    def breakOff(self) -> None:
        """The answer can't be completed: let the client see that."""
        self.abort()

    def abort(self) -> None:
        """Close at once, with a reset."""
        self._go(Reading.OVER)
        self.transport.abortConnection()

    def _close(self) -> None:
        """
        Close behind what was written.

        If the client may still be sending, it is read for a while: data that arrives at a closed
        socket would make the kernel reset the connection, and the client lose its answer. TLS
        has no half-close, and is closed.
        """
        if (
            self._half_closed
            or (self.state is Reading.ANSWERING and not self._held)
            or ISSLTransport.providedBy(self.transport)
        ):
            self._lose()
            return
        self._held = b""
        self._go(Reading.LINGERING)
        self.transport.unregisterProducer()
        self.transport.loseWriteConnection()
        self._resumeReading()
        self._wait(self.factory.limits.linger)

    def _lose(self) -> None:
        if self.state is not Reading.LINGERING:
            self.transport.unregisterProducer()
        self._go(Reading.OVER)
        self._due = NEVER
        self.deadline = 0.0
        self._expectTaking()
        self.transport.loseConnection()

    # Bytes come, or wait.

    def _pauseReading(self) -> None:
        if not self._paused and not self._half_closed:
            self._paused = True
            self.transport.pauseProducing()

    def _resumeReading(self) -> None:
        if self._paused and not self._half_closed and not self._lent:
            self._paused = False
            self.transport.resumeProducing()
