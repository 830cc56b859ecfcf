# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""A connection with another host over TLS, by the system's libssl: either end of it.

It reads records where the reactor has put them, and gives a compiled protocol the plain text of all
that came at once. What is written in a turn of the reactor is encrypted and sent at its end, at once:
a record costs more than the frames in it. Of a body, which is no frames, each piece is encrypted where
it is sent from, and decrypted where it is given on. Flow control is the socket's.

Who is at the other end, the C{HostGate} finds out that it is given as its protocol, when the
handshake is done.

The same by Twisted: C{subproxy.frontend.peer.host_tls} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport free
from libc.string cimport memcpy

from subproxy.frontend.peer._host_context cimport keep_buffers, last_reason
from subproxy.frontend.tls._above_socket cimport HANDSHAKE, OPEN, OVER
from subproxy.frontend.tls._libssl cimport Output, lend_output, lib, output, take_output
from subproxy.frontend.tls._openssl cimport WANT_READ, ZERO_RETURN
from subproxy.reactor._engine cimport enqueue
from subproxy.reactor._out_buffer cimport reserve_out, u8
from subproxy.reactor._turn_end cimport turn_end

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, ISSLTransport, ITCPTransport
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import classImplements

from subproxy.frontend.peer.host_tls_broken import HostTlsBroken

cdef extern from "../../reactor/gather.h":
    object take_only(list)
    int trim_last(list, Py_ssize_t) except -1

cdef enum:
    ROOM = 16384  # bytes of plain text in a record
    PLAIN = 4 * ROOM  # bytes that are given on at once
    MUCH = 262144  # bytes that are gathered before the turn ends
    MORE = 16384  # bytes of room that there are more than was asked for
    KEPT = 65536  # bytes of room that are kept from one turn to the next
    READS = 1 << 30  # of the feed within a call of libssl's: no matter how many
    OFFERED = 79872  # bytes of a body that are received at once: as many as go on without a pause
    BODY = 8192  # bytes above which what is written is encrypted where it is sent from

# Whoever is given plain text may write a zero behind it.
cdef char plain[PLAIN + 64]


cdef class CompiledHostTransport(AboveSocket):
    """
    See above.

    @param inner: what speaks over it.
    @param called: it has dialled, and says so whom (SNI); empty: nothing. None: it was dialled.
    """

    def __cinit__(self):
        self.ssl = NULL
        self.much = OFFERED
        self.takes_frames = True

    def __dealloc__(self):
        if self.ssl != NULL:
            lib.SSL_free(self.ssl)
        free(self.out.data)

    def __init__(self, HostContext context, inner, clock, called):
        self.context = context
        self.inner = inner
        self.clock = clock
        if called is None:
            self.ssl = context.connection(&self.feed)
        else:
            self.ssl = context.dialled(&self.feed, called)

    # IProtocol: the socket speaks.

    def makeConnection(self, transport):
        """It is connected: the handshake begins."""
        self.stand_on(transport)
        self.inner.makeConnection(self)
        if self.stage == HANDSHAKE:
            self.shake_hands()

    cdef object clock_of_turns(self):
        return self.clock

    def connectionLost(self, reason=connectionDone):
        """It is gone. An end that TLS has said nothing of proves nothing: it was cut off."""
        cdef int stage = self.stage
        self.stage = OVER
        self.held = None
        self.out.size = 0
        inner, self.inner = self.inner, None
        self.receiver = None
        self.stream = None
        if self.why is not None:
            reason, self.why = self.why, None
        elif stage != OVER and reason.check(ConnectionDone):
            reason = Failure(CONNECTION_LOST)
        if inner is not None:
            inner.connectionLost(reason)
        if self.ssl != NULL and not self.in_read:
            lib.SSL_free(self.ssl)
            self.ssl = NULL

    # Records.

    cdef bint takes_much(self):
        """Of a body, not of frames."""
        return self.receiver is None

    cdef bint take_in(self) except -1:
        """As many as are given on at once; False if no other one is whole, or will be read."""
        cdef Py_ssize_t size = 0
        cdef Py_ssize_t room = PLAIN
        cdef Py_ssize_t enough = PLAIN - ROOM  # to leave room for a record
        cdef char *into = plain
        cdef int n = 1
        cdef int error = 0
        cdef list made = None
        why = None
        if self.receiver is None and self.feed.size > ROOM:
            # Raw bytes of a body: where they are given on; with what is here of a record before.
            room = self.feed.size + ROOM
            enough = room - 1
            made = [PyBytes_FromStringAndSize(NULL, room)]
            into = PyBytes_AS_STRING(made[0])
        self.feed.reads = READS
        while n > 0 and self.feed.size and size <= enough:
            lib.ERR_clear_error()
            n = lib.SSL_read(self.ssl, into + size, <int>min(room - size, ROOM))
            if n > 0:
                size += n
            else:
                error = lib.SSL_get_error(self.ssl, n)
                if error != WANT_READ and error != ZERO_RETURN:
                    why = last_reason()
        self.send()  # (keys are changed when the other end wants that)
        if size and made is not None:
            trim_last(made, size)
            self.inner.dataReceived(take_only(made))
        elif size:
            self.deliver(plain, size)
        if n > 0:
            return True
        if self.stage == OPEN:
            if error == ZERO_RETURN:
                self.loseConnection()
            elif error != WANT_READ:
                self.broke(why)
        return False

    cdef int deliver(self, char *data, Py_ssize_t size) except -1:
        # Held here: it may be let go of while it is called.
        cdef Receiver receiver = self.receiver
        if receiver is not None:
            return receiver.received(data, size)
        self.inner.dataReceived(PyBytes_FromStringAndSize(data, size))
        return 0

    cdef int shake_hands(self) except -1:
        cdef int n
        lib.ERR_clear_error()
        self.feed.reads = READS
        n = lib.SSL_do_handshake(self.ssl)
        if n != 1:
            if lib.SSL_get_error(self.ssl, n) == WANT_READ:
                return self.send()
            return self.broke(last_reason())
        self.send()
        self.stage = OPEN
        if self.stream is not None and self.stream.protocol is not self:
            # An endpoint of Twisted's has dialled, and would stand in between, in Python.
            self.stream.protocol = self
        self.inner.handshakeCompleted()
        return 0

    cdef int broke(self, str why) except -1:
        """The other end sent what is no TLS, or has no good certificate: an alert says so."""
        self.stage = OVER
        self.why = Failure(HostTlsBroken(why))
        self.send()
        self.transport.loseConnection()
        return 0

    cdef int send(self) except -1:
        """Let the socket have what the library has written."""
        cdef Py_ssize_t size
        if output.size == 0:
            return 0
        size = output.size
        output.size = 0  # if there is no memory for it, too: it is nobody else's
        return self.pass_down(PyBytes_FromStringAndSize(output.data, size))

    # What is written.

    cdef u8 *room(self, Py_ssize_t size) except NULL:
        return reserve_out(&self.out, size, MORE)

    cdef int filled(self, Py_ssize_t size) except -1:
        if self.stage != OPEN:
            return 0
        self.out.size += size
        return self.soon()

    cdef int gather(self, const char *data, Py_ssize_t size) except -1:
        memcpy(self.room(size), data, size)
        return self.filled(size)

    cdef int soon(self) except -1:
        if self.out.size > MUCH:
            return self.encrypt()
        if self.called:
            return 0
        self.called = True
        if self.turn_end is None:
            self.turn_end = turn_end(self.transport, self)
        if self.turn_end is not None:
            enqueue(self.turn_end)
        else:
            self.clock.callLater(0, self.turn_ended)
        return 0

    def turn_ended(self):
        """The turn of the reactor in which something was gathered ends."""
        self.called = False
        self.encrypt()

    cdef int encrypt(self) except -1:
        """Send what was gathered."""
        cdef int n
        if self.out.size == 0 or self.stage != OPEN:
            return 0
        lib.ERR_clear_error()
        n = lib.SSL_write(self.ssl, self.out.data, <int>self.out.size)
        self.out.size = 0
        if self.out.room > KEPT:
            free(self.out.data)
            self.out.data = NULL
            self.out.room = 0
        if n <= 0:
            return self.broke(last_reason())
        return self.send()

    # For a compiled protocol: what came is given to it where it lies.

    cdef int lend(self, Receiver receiver) except -1:
        self.receiver = receiver
        # Frames come and go all the time: what the library has for a record stays where it is.
        if self.ssl != NULL:
            keep_buffers(self.ssl)
        return 0

    cdef int lent_back(self, Receiver receiver) except -1:
        if self.receiver is receiver:
            self.receiver = None
        return 0

    # ITransport.

    def write(self, bytes data):
        """Send, at the end of the turn; some of a body at once."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        if size > BODY and self.stage == OPEN:
            self.encrypt()
            self.write_body(PyBytes_AS_STRING(data), size)
        elif size:
            self.gather(PyBytes_AS_STRING(data), size)

    cdef int write_body(self, const char *at, Py_ssize_t size) except -1:
        """Encrypt, and send what was encrypted without a copy of it."""
        cdef Output before
        cdef int n
        cdef list made
        if self.stage != OPEN:
            return 0
        lib.ERR_clear_error()
        made = lend_output(size, &before)
        n = lib.SSL_write(self.ssl, at, <int>size)
        data = take_output(made, before)
        return self.pass_down(data) if n > 0 else self.broke(last_reason())

    def loseConnection(self):
        """Close, behind what was written."""
        if self.stage == HANDSHAKE:
            self.abortConnection()
            return
        if self.stage == OPEN:
            self.encrypt()
        if self.stage == OPEN:
            lib.ERR_clear_error()
            lib.SSL_shutdown(self.ssl)
            self.send()
            self.stage = OVER
        # As one of TCP does, though there is a producer.
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def abortConnection(self):
        """Close at once, with a reset."""
        self.stage = OVER
        self.transport.abortConnection()

    # What the socket's transport knows.

    @property
    def connected(self):
        """Whether something can be sent."""
        return self.stage == OPEN and bool(self.transport.connected)

    @property
    def disconnecting(self):
        """Whether it was closed."""
        return self.stage == OVER

    @property
    def bufferSize(self):
        """Bytes that may wait before a producer is paused."""
        return self.transport.bufferSize

    @bufferSize.setter
    def bufferSize(self, size):
        self.transport.bufferSize = size

    @property
    def waiting(self):
        """Bytes that were written, and that the kernel has not taken; None if nobody can tell."""
        waiting = getattr(self.transport, "waiting", None)
        return None if waiting is None else waiting + self.out.size

    def getPeerCertificate(self):
        """The other end's, as pyOpenSSL has one."""
        from cryptography.x509 import load_der_x509_certificate
        from OpenSSL.crypto import X509

        found = None if self.ssl == NULL else self.context.peer_certificate(self.ssl)
        return None if found is None else X509.from_cryptography(load_der_x509_certificate(found))

    def getTcpNoDelay(self):
        """Whether small packets are sent at once."""
        return ITCPTransport.providedBy(self.transport) and bool(self.transport.getTcpNoDelay())

    def setTcpNoDelay(self, enabled):
        """Let small packets be sent at once."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(enabled)


classImplements(CompiledHostTransport, IProtocol, ISSLTransport)
