"""
One connection over TLS: the protocol of its socket, and the transport of what speaks HTTP.

The socket's transport buffers what is written, and its flow control is that of what speaks HTTP:
all that is encrypted goes out at once, and nothing waits here, but for what came in one read while
reading was paused.

How it ends (RFC 8446 section 6.1): C{close_notify} of the client is what a FIN is without TLS. A
FIN without it proves nothing, and could be anybody's: the client is gone, and whatever it was
sending is incomplete. We send C{close_notify} before we close, unless an answer is cut short: a
client that has no length for its body sees that by its absence.

Compiled a second time: L{subproxy.frontend.tls._connection}, and for the libssl of a wheel
L{subproxy.frontend.tls._memory_connection} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any, Final

from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.http.client_tls import VERSIONS, ClientTls
from subproxy.core.reentrancy import ReentrancyGuard
from subproxy.frontend.deadlines import NEVER
from subproxy.frontend.tls.interfaces import ITlsListener
from subproxy.frontend.tls.states import (
    READING_TRANSITIONS,
    TLS_TRANSITIONS,
    TlsReadingState,
    TlsState,
)

ROOM: Final = 16384
"""Bytes of plain text in a record at most (RFC 8446 section 5.1)."""

ODD_RECORDS: Final = 32
"""
Records of a client that hold no data and cause an answer of ours (key updates, refused
renegotiations) before we have enough; each 16 KiB of data allow one more. A record without data
that more is behind counts though it causes none. libssl reads on until there is data, so it is
given one record at a time: else it would take all that a segment holds before we count.
"""

HEAD: Final = 5
"""Bytes before a record's content (RFC 8446 section 5.1): type, version, length."""

TYPES: Final = frozenset(range(20, 24))
"""Types of record that there are (RFC 8446 appendix B.1)."""

MAX_RECORD: Final = ROOM + 2048
"""Bytes of encrypted content at most (RFC 5246 section 6.2.3)."""

_TURN_COMES: Final = frozenset({TlsReadingState.DUE, TlsReadingState.HELD})
_TAKES_NOTHING: Final = frozenset({TlsReadingState.PAUSED, TlsReadingState.HELD})


@implementer(ISSLTransport, IHalfCloseableProtocol)
class TlsConnection(Protocol):
    """
    See above.

    @param context: that of its certificate.
    @param listener: who makes what speaks HTTP.
    @ivar state: what becomes of what the client sends.
    @ivar deadline: when the handshake has to be done (monotonic seconds).
    @ivar tls: what is known of it; told what was agreed upon.
    @ivar inner: what speaks HTTP, as soon as the handshake is done.
    """

    transport: Any
    busy = False
    half_closes = True

    def __init__(self, context: ssl.SSLContext, listener: ITlsListener) -> None:
        self.state = TlsState.HANDSHAKE
        self.deadline = NEVER
        self.tls: ClientTls | None = None
        self.inner: Any = None
        self._listener = listener
        self._told: tuple[str | None, bool] | None = None
        self._waiting = bytearray()  # what libssl has not been given yet
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._flow = TlsReadingState.FLOWING
        self._reading = ReentrancyGuard()
        self._odd = 0

    def tell(self, host: str | None, secure: bool) -> None:
        """Who the client is, by the word of a proxy: see C{Http1Protocol.tell}."""
        self._told = (host, secure)

    # IProtocol and IHalfCloseableProtocol: the socket speaks.

    def dataReceived(self, data: bytes) -> None:
        """Bytes came from the client."""
        if self.state is TlsState.OPEN or self.state is TlsState.HANDSHAKE:
            self._waiting += data
            if self._flow not in _TURN_COMES:  # else it has its turn behind what is here
                self._read()

    def readConnectionLost(self) -> None:
        """The client's FIN: see the head of this module."""
        if self.state is TlsState.LINGERING:
            self._inner_reads_no_more()
        elif self.state is not TlsState.HALF_CLOSED:
            self.transport.connectionLost(connectionDone)

    def writeConnectionLost(self) -> None:
        """Our own half of the connection is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone, or was sent away."""
        state = self.state
        self._go(TlsState.OVER)
        if self.inner is None:
            if state is TlsState.HANDSHAKE:
                self._listener.failed(self.transport, "the client left in its handshake")
            self.deadline = NEVER
            self._listener.connections.closed(self)
        else:
            # It keeps us as its transport while it is told.
            self.inner.connectionLost(reason)
        self.inner = None

    # Records.

    def _go(self, state: TlsState) -> None:
        self.state = TLS_TRANSITIONS.move(self.state, state)

    def _read(self) -> None:
        """Take in what has come."""
        if self._reading.depth:
            return
        with self._reading:
            try:
                while self._takes_more() and self._feed_record():
                    if self.state is TlsState.HANDSHAKE:
                        self._shake_hands()
                    else:
                        self._read_record()
            except ssl.SSLError as error:
                self._broke(error)

    def _takes_more(self) -> bool:
        state = self.state
        return state is TlsState.HANDSHAKE or (
            state is TlsState.OPEN and self._flow not in _TAKES_NOTHING
        )

    def _feed_record(self) -> bool:
        """Give libssl the next record, or all that cannot be one; False if none is whole."""
        waiting = self._waiting
        if not waiting:
            return False
        size = len(waiting)
        if waiting[0] in TYPES:
            if size < HEAD:
                return False
            length = int.from_bytes(waiting[3:HEAD], "big")
            if length <= MAX_RECORD:
                if size < HEAD + length:
                    return False
                size = HEAD + length
        self._in.write(waiting[:size])
        del waiting[:size]
        return True

    def _read_record(self) -> None:
        """What the record holds that was fed."""
        try:
            data = self._tls.read(ROOM)
        except ssl.SSLWantReadError:
            self._flush_odd(bool(self._waiting))
            return
        self._flush_odd(False)
        if data:
            self._odd = max(self._odd - len(data), 0)
            self.inner.dataReceived(data)
        elif self.state is TlsState.OPEN:
            self._go(TlsState.HALF_CLOSED)
            self._inner_reads_no_more()

    def _flush_odd(self, odd: bool) -> None:
        """Answer what was no data; so often, and no more."""
        if odd or self._out.pending:
            self._odd += ROOM
            if self._odd > ODD_RECORDS * ROOM:
                self.abortConnection()
            else:
                self._flush()

    def _inner_reads_no_more(self) -> None:
        if IHalfCloseableProtocol.providedBy(self.inner):
            self.inner.readConnectionLost()
        else:
            self.loseConnection()

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        self._flush()
        self._go(TlsState.OPEN)
        self.deadline = NEVER
        listener = self._listener
        tls = self._tls
        alpn = tls.selected_alpn_protocol()
        chosen = None if alpn is None else alpn.encode("ascii")
        if self.tls is not None:
            self.tls.agreed(VERSIONS[tls.version() or ""], chosen, tls.getpeercert(True))
        inner = listener.established(chosen, bool(tls.session_reused), self.tls)
        if self._told is not None:
            inner.tell(self._told[0], True, self.tls)
        self.inner = inner
        listener.connections.left(self)
        inner.makeConnection(self)

    def _broke(self, error: ssl.SSLError) -> None:
        """The client sent what is no TLS, or what we do not take: an alert says so."""
        self._flush()
        if self.state is TlsState.HANDSHAKE:
            reason = (error.reason or str(error)).lower().replace("_", " ")
            self._go(TlsState.OVER)
            self._listener.failed(self.transport, reason)
        else:
            self._go(TlsState.OVER)
        self.transport.loseConnection()

    def _flush(self) -> None:
        if self._out.pending:
            self.transport.write(self._out.read())

    # ITransport: what speaks HTTP writes, or listens no more.

    def write(self, data: bytes) -> None:
        """Encrypt, and send."""
        if data and (self.state is TlsState.OPEN or self.state is TlsState.HALF_CLOSED):
            self._tls.write(data)
            self._flush()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Likewise, all at once."""
        self.write(b"".join(iovec))

    def _close_notify(self) -> None:
        """Say that nothing more is sent."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # it wants to hear the same of the client, which we do not wait for
        self._flush()

    def loseConnection(self) -> None:
        """Close, behind what was written."""
        if self.state is TlsState.OPEN or self.state is TlsState.HALF_CLOSED:
            self._close_notify()
        if self.state is not TlsState.OVER:
            self._go(TlsState.OVER)
        self.transport.loseConnection()

    def loseWriteConnection(self) -> None:
        """Send nothing more, and drop what comes until the client closes, too."""
        if self.state is TlsState.OPEN:
            self._close_notify()
            self._go(TlsState.LINGERING)
            self.transport.loseWriteConnection()
        elif self.state is TlsState.HALF_CLOSED:
            self.loseConnection()

    def abortConnection(self) -> None:
        """Close at once, with a reset."""
        self._go(TlsState.OVER)
        self.transport.abortConnection()

    # Who makes more, and who takes it.

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Tell C{producer} when the client does not take what is written."""
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Tell nobody any more."""
        self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        """Read no more for now."""
        if self._flow is TlsReadingState.FLOWING:
            self._flow_is(TlsReadingState.PAUSED)
        elif self._flow is TlsReadingState.DUE:
            self._flow_is(TlsReadingState.HELD)
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again: first what is here, in a turn of its own, as a socket would."""
        waits = bool(self._waiting) and self.state is TlsState.OPEN
        if self._flow is TlsReadingState.HELD:
            self._flow_is(TlsReadingState.DUE)
        elif waits and self._flow is not TlsReadingState.DUE:
            self._flow_is(TlsReadingState.DUE)
            self._listener.clock.callLater(0, self._resume)
        elif self._flow is TlsReadingState.PAUSED:
            self._flow_is(TlsReadingState.FLOWING)
        if not waits:
            self.transport.resumeProducing()

    def _resume(self) -> None:
        held = self._flow is TlsReadingState.HELD
        self._flow_is(TlsReadingState.PAUSED if held else TlsReadingState.FLOWING)
        if self.state is TlsState.OPEN and not held:
            self._read()
        if self.state is not TlsState.OVER and self._flow is TlsReadingState.FLOWING:
            self.transport.resumeProducing()

    def _flow_is(self, state: TlsReadingState) -> None:
        self._flow = READING_TRANSITIONS.move(self._flow, state)

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    # IOpenConnection, until the handshake is done.

    def deadline_passed(self, now: float) -> None:
        """The handshake came too slowly."""
        self.deadline = NEVER
        if self.state is TlsState.HANDSHAKE:
            self._listener.failed(self.transport, "its handshake came too slowly")
        self.abortConnection()

    def close_if_idle(self) -> None:
        """Nobody has asked anything."""
        self.deadline = NEVER
        self.loseConnection()

    def abort(self) -> None:
        """Close at once, with a reset."""
        self.deadline = NEVER
        self.abortConnection()

    # What the socket's transport knows.

    @property
    def bufferSize(self) -> int:
        """Bytes that may wait before a producer is paused."""
        size: int = self.transport.bufferSize
        return size

    @bufferSize.setter
    def bufferSize(self, size: int) -> None:
        self.transport.bufferSize = size

    def getPeer(self) -> Any:
        """The client."""
        return self.transport.getPeer()

    def getHost(self) -> Any:
        """Us."""
        return self.transport.getHost()

    def getHandle(self) -> Any:
        """The socket."""
        return self.transport.getHandle()

    def fileno(self) -> int:
        """The socket's descriptor, to look at: it is never lent."""
        return int(self.transport.fileno())

    def getPeerCertificate(self) -> None:
        """The client's certificate: none is asked for."""
        return None

    def getTcpNoDelay(self) -> bool:
        """Whether small packets are sent at once: they are, from the handshake on."""
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing to do: see L{getTcpNoDelay}."""

    def getTcpKeepAlive(self) -> bool:
        """Whether the system asks now and then if the client is there."""
        return ITCPTransport.providedBy(self.transport) and bool(self.transport.getTcpKeepAlive())

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Let the system ask now and then if the client is there."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpKeepAlive(enabled)
