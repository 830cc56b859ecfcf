# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""One connection over TLS by a libssl that is called by pointers: the compiled twin of
C{subproxy.frontend.tls.connection}, which says what it does and why.

By the system's it reads records where the reactor has put them (C{_memory_connection} has what is
different by a wheel's), and gives a compiled protocol the plain text where libssl has put it.
Nothing of its own is kept between two calls but what came while it was paused.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from subproxy.frontend.tls._above_socket cimport (
    HALF_CLOSED, HANDSHAKE, LINGERING, OPEN, OVER, AboveSocket,
)
from subproxy.frontend.tls._libssl cimport Context, Output, lend_output, output, take_output
from subproxy.frontend.tls._openssl cimport (
    TLS1_3_VERSION, WANT_READ, ZERO_RETURN, OpensslContext, reason,
)
from subproxy.reactor._receive cimport Receiver

from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, ISSLTransport
from twisted.internet.protocol import connectionDone
from zope.interface import classImplements

from subproxy.frontend.tls import connection as _reference

cdef extern from "../../reactor/gather.h":
    object take_only(list)
    int trim_last(list, Py_ssize_t) except -1

cdef enum:
    AT_ONCE = 1 << 30  # bytes that one call takes
    READS = 2  # of the feed for one record: its head, and its content
    UNLIMITED = 1 << 30
    MUCH = 8192  # bytes above which what is written is encrypted where it is sent from
    OFFERED = 114688  # bytes that are then received at once

if _reference.ROOM != ROOM:
    raise ImportError("the reference has another size of records")

cdef long MOST_ODD = _reference.ODD_RECORDS * ROOM
cdef double NEVER = float("inf")


cdef class CompiledTlsConnection(AboveSocket):
    """See L{TlsConnection<subproxy.frontend.tls.connection.TlsConnection>}."""

    busy = False
    half_closes = True

    def __cinit__(self):
        self.ssl = NULL
        self.much = OFFERED

    def __dealloc__(self):
        if self.ssl != NULL:
            self.lib.SSL_free(self.ssl)

    def __init__(self, OpensslContext context, listener):
        self.context = context
        self.lib = context.lib
        self.listener = listener
        self.deadline = NEVER
        self.open()

    def tell(self, host, secure):
        """Who the client is, by the word of a proxy: see C{Http1Protocol.tell}."""
        self.told = (host, secure)

    # IProtocol and IHalfCloseableProtocol: the socket speaks.

    def makeConnection(self, transport):
        """The ClientHello is about to come."""
        self.stand_on(transport)

    cdef object clock_of_turns(self):
        return self.listener.clock

    def readConnectionLost(self):
        """The client's FIN."""
        if self.stage == LINGERING:
            self.inner_reads_no_more()
        elif self.stage != HALF_CLOSED:
            self.transport.connectionLost(connectionDone)

    def writeConnectionLost(self):
        """Our own half of the connection is closed."""

    def connectionLost(self, reason=connectionDone):
        """The client is gone, or was sent away."""
        cdef int stage = self.stage
        self.stage = OVER
        self.held = None
        inner, self.inner = self.inner, None
        self.receiver = None
        self.stream = None
        if inner is None:
            if stage == HANDSHAKE:
                self.listener.failed(self.transport, "the client left in its handshake")
            self.deadline = NEVER
            self.listener.connections.closed(self)
        else:
            inner.connectionLost(reason)
        if self.ssl != NULL and not self.in_read:
            self.lib.SSL_free(self.ssl)
            self.ssl = NULL

    # What libssl reads, and where it writes.

    cdef int open(self) except -1:
        """Make it a connection of its context."""
        self.ssl = (<Context?>self.context).connection(&self.feed)
        return 0

    cdef int handshake(self) noexcept:
        """Go on with a handshake by what the feed has; what libssl says."""
        self.feed.reads = UNLIMITED
        return self.lib.SSL_do_handshake(self.ssl)

    cdef int decrypt(self, char *into, Py_ssize_t room) noexcept:
        """The content of the next record, or what there is room for; what libssl says."""
        self.feed.reads = READS
        self.feed.stopped = False
        return self.lib.SSL_read(self.ssl, into, <int>room)

    cdef Py_ssize_t written(self) noexcept:
        """Bytes that libssl has written since they were taken."""
        return output.size

    cdef bytes take_written(self):
        """What it has written."""
        cdef Py_ssize_t size = output.size
        output.size = 0  # if there is no memory for it, too: it is nobody else's
        return PyBytes_FromStringAndSize(output.data, size)

    # Records.

    cdef bint take_in(self) except -1:
        return self.read_records() if self.feed.size > ROOM else self.read_record()

    cdef bint read_record(self) except -1:
        """One record; False if it is not whole."""
        cdef int n = self.next_data(scratch, ROOM)
        # Held here: it may be let go of while it is called.
        cdef Receiver receiver = self.receiver
        if n > 0:
            if receiver is not None:
                receiver.received(scratch, n)
            else:
                self.inner.dataReceived(PyBytes_FromStringAndSize(scratch, n))
            return True
        return self.no_data(self.lib.SSL_get_error(self.ssl, n), False)

    cdef int next_data(self, char *into, Py_ssize_t room) except? -2:
        """The data of the next record, its size; else what the library says of it."""
        cdef int n
        if self.lib.ERR_peek_error():  # of somebody else's: to clear nothing costs more than to look
            self.lib.ERR_clear_error()
        n = self.decrypt(into, room)
        if n > 0:
            if self.written():
                self.flush_odd(False)
            if self.odd:
                self.odd = max(self.odd - n, 0)
        return n

    cdef bint read_records(self) except -1:
        """As many records as there are, as one piece; False if the last one is not whole."""
        cdef Py_ssize_t room = self.feed.size + ROOM  # with what is whole of a record before
        cdef Py_ssize_t filled = 0
        cdef int n = 0
        cdef int error = 0
        cdef bint answered = False
        cdef Receiver receiver
        cdef list gathered = [PyBytes_FromStringAndSize(NULL, room + 64)]
        cdef char *at = PyBytes_AS_STRING(gathered[0])
        while self.feed.size and self.stage == OPEN:
            n = self.next_data(at + filled, min(room - filled, ROOM))
            if n <= 0:
                error = self.lib.SSL_get_error(self.ssl, n)
                if error != WANT_READ:
                    # Whoever is called now may end this, and others would take it for theirs.
                    self.lib.ERR_clear_error()
                break
            filled += n
        if filled and n <= 0 and self.written():
            # To the record behind these; before who is called writes, since it was encrypted before.
            answered = True
            self.flush()
        if filled and self.inner is not None:
            receiver = self.receiver
            if receiver is not None:
                receiver.received(at, filled)
            else:
                trim_last(gathered, filled)
                self.inner.dataReceived(take_only(gathered))
        if n > 0:
            return True
        # Whoever took it may have ended the connection.
        return self.stage == OPEN and self.no_data(error, answered)

    cdef bint no_data(self, int error, bint answered) except -1:
        """The library has no data, and this is why, C{answered} or not; whether more may be there."""
        if error == WANT_READ:
            self.flush_odd(self.feed.stopped or answered)
            return self.feed.stopped
        if error == ZERO_RETURN:
            self.flush_odd(answered)
            if self.stage == OPEN:
                self.stage = HALF_CLOSED
                self.inner_reads_no_more()
            return True
        self.broke()
        return False

    cdef int flush_odd(self, bint odd) except -1:
        """Answer what was no data; so often, and no more."""
        if odd or self.written():
            self.odd += ROOM
            if self.odd > MOST_ODD:
                self.take_written()
                self.abortConnection()
            else:
                self.flush()
        return 0

    cdef int inner_reads_no_more(self) except -1:
        if IHalfCloseableProtocol.providedBy(self.inner):
            self.inner.readConnectionLost()
        else:
            self.loseConnection()
        return 0

    cdef int shake_hands(self) except -1:
        cdef int n
        cdef const unsigned char *alpn = NULL
        cdef unsigned size = 0
        self.lib.ERR_clear_error()
        n = self.handshake()
        if n != 1:
            if self.lib.SSL_get_error(self.ssl, n) == WANT_READ:
                return self.flush()
            return self.broke()
        self.flush()
        self.stage = OPEN
        self.deadline = NEVER
        self.lib.SSL_get0_alpn_selected(self.ssl, &alpn, &size)
        chosen = None if size == 0 else PyBytes_FromStringAndSize(<const char *>alpn, size)
        if self.tls is not None:
            self.tls.agreed(
                b"1.3" if self.lib.SSL_version(self.ssl) == TLS1_3_VERSION else b"1.2", chosen,
                self.context.peer_certificate(self.ssl) if self.context.asks_clients else None,
            )
        inner = self.listener.established(
            chosen, self.lib.SSL_session_reused(self.ssl) == 1, self.tls)
        if self.told is not None:
            inner.tell(self.told[0], True, self.tls)
        self.inner = inner
        self.receiver = inner if isinstance(inner, Receiver) else None
        self.listener.connections.left(self)
        inner.makeConnection(self)
        return 0

    cdef int broke(self) except -1:
        """The client sent what is no TLS, or what we do not take: an alert says so."""
        cdef bint shaking = self.stage == HANDSHAKE
        why = reason(self.lib)
        self.stage = OVER
        self.flush()
        if shaking:
            self.listener.failed(self.transport, why)
        self.transport.loseConnection()
        return 0

    cdef int flush(self) except -1:
        """Let the socket have what the library has written."""
        if self.written() == 0:
            return 0
        return self.pass_down(self.take_written())

    # ITransport: what speaks HTTP writes, or listens no more.

    def write(self, bytes data):
        """Encrypt, and send."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        if self.stage != OPEN and self.stage != HALF_CLOSED:
            return
        if size > MUCH:
            self.write_much(PyBytes_AS_STRING(data), size)
        else:
            self.write_little(PyBytes_AS_STRING(data), size)

    cdef int write_little(self, const char *at, Py_ssize_t left) except -1:
        """Encrypt, and send what was written."""
        cdef int n
        while left:
            n = self.lib.SSL_write(self.ssl, at, <int>min(left, AT_ONCE))
            if n <= 0:
                return self.broke()
            at += n
            left -= n
        return self.flush()

    cdef int write_much(self, const char *at, Py_ssize_t left) except -1:
        """Likewise, without a copy of what was encrypted."""
        cdef Output before
        cdef int n = 1
        cdef list made
        self.flush()
        made = lend_output(left, &before)
        while left and n > 0:
            n = self.lib.SSL_write(self.ssl, at, <int>min(left, AT_ONCE))
            at += n
            left -= n
        data = take_output(made, before)
        return self.pass_down(data) if n > 0 else self.broke()

    cdef int close_notify(self) except -1:
        """Say that nothing more is sent."""
        self.lib.ERR_clear_error()
        self.lib.SSL_shutdown(self.ssl)
        return self.flush()

    def loseConnection(self):
        """Close, behind what was written."""
        if self.stage == OPEN or self.stage == HALF_CLOSED:
            self.close_notify()
        self.stage = OVER
        self.transport.loseConnection()

    def loseWriteConnection(self):
        """Send nothing more, and drop what comes until the client closes, too."""
        if self.stage == OPEN:
            self.close_notify()
            self.stage = LINGERING
            self.transport.loseWriteConnection()
        elif self.stage == HALF_CLOSED:
            self.loseConnection()

    def abortConnection(self):
        """Close at once, with a reset."""
        self.stage = OVER
        self.transport.abortConnection()

    # What the socket's transport knows.

    @property
    def bufferSize(self):
        """Bytes that may wait before a producer is paused."""
        return self.transport.bufferSize

    @bufferSize.setter
    def bufferSize(self, size):
        self.transport.bufferSize = size

    def getHandle(self):
        """The socket."""
        return self.transport.getHandle()

    def fileno(self):
        """The socket's descriptor, to look at: it is never lent."""
        return self.transport.fileno()

    def getPeerCertificate(self):
        """The client's certificate: what was verified of it, C{tls} knows."""
        return None

    def getTcpNoDelay(self):
        """Whether small packets are sent at once: they are, from the handshake on."""
        return True

    def setTcpNoDelay(self, enabled):
        """Nothing to do: see C{getTcpNoDelay}."""

    # OpenConnection, until the handshake is done.

    def deadline_passed(self, now):
        """The handshake came too slowly."""
        self.deadline = NEVER
        if self.stage == HANDSHAKE:
            self.listener.failed(self.transport, "its handshake came too slowly")
        self.abortConnection()

    def close_if_idle(self):
        """Nobody has asked anything."""
        self.deadline = NEVER
        self.loseConnection()

    def abort(self):
        """Close at once, with a reset."""
        self.deadline = NEVER
        self.abortConnection()


classImplements(CompiledTlsConnection, IProtocol, ISSLTransport, IHalfCloseableProtocol)
