# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""The stream half of a transport: bytes in and out of one socket, by completion.

A C{Stream} is mixed in before one of Twisted's own transport classes. While it
is *native* (C{fd} is not -1) it reads by one multishot receive and writes by
one send at a time, everything written in between gathered into the next.
While it is not (a connecting socket) every method is what Twisted's would be.

What the engine is asked for is decided once a turn, in C{settle}: who pauses
and resumes within a turn, or writes ten times, costs one operation or none.

Its two halves are C{ReceivingStream} and C{SendingStream}; here are the life of
the socket, the turn, and the methods that Twisted calls.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from posix.unistd cimport close

from subproxy.reactor._engine cimport (
    TAG_RECEIVE, TAG_SEND, TAG_SILENT, Engine, Handle, enqueue,
)
from subproxy.reactor._send cimport JOIN, SendingStream
from subproxy.reactor._uapi cimport *

import os
import socket

from twisted.internet import abstract, error, tcp
from twisted.python import failure

from subproxy.reactor._receive import DONE, GONE, LOST

cdef extern from "sys/socket.h" nogil:
    struct linger:
        int l_onoff
        int l_linger
    int SHUT_RDWR, SO_LINGER, SOL_SOCKET
    int shutdown(int, int)
    int c_getsockopt "getsockopt"(int, int, int, void *, unsigned *)
    int c_setsockopt "setsockopt"(int, int, int, const void *, unsigned)

cdef object FileDescriptor = abstract.FileDescriptor
cdef object Connection = tcp.Connection


class BypassTLS:
    """What TLS calls to move its own bytes: the stream without TLS."""

    write = staticmethod(lambda stream, data: stream.raw_write(data))
    writeSequence = staticmethod(lambda stream, iovec: stream.raw_write(b"".join(iovec)))
    loseConnection = staticmethod(lambda stream, *args, **kw: stream.raw_lose_connection())
    registerProducer = staticmethod(FileDescriptor.registerProducer)
    unregisterProducer = staticmethod(FileDescriptor.unregisterProducer)


cdef class Stream(SendingStream):
    # -- life ---------------------------------------------------------------

    cdef int attach(self, Engine engine, int fd) except -1:
        """Become native. The stream owns C{fd} unless a socket object does."""
        self.engine = engine
        self.fd = fd
        self.native_write = True
        return 0

    def go_native(self):
        """Move from Twisted's epoll descriptor to the engine: the socket is connected."""
        self.attach(self.reactor.engine, self.socket.fileno())

    cdef int orphan(self) except -1:
        self.armed = self.cancelling = self.placed = False
        self.incoming = None
        if self.sending:
            # Whether the old engine sent some of it is not known; it was
            # another process's, or another thread's, business.
            self.sending = False
            if self.fd >= 0:
                if self.out is None:
                    self.out = []
                elif self.filled:
                    self.trim()
                self.out.insert(0, self.rest())
                self.writing = True
            self.current = None
        if self.fd >= 0:
            enqueue(self)
        return 0

    cdef int detach(self) except -1:
        """Give up the descriptor: what is in flight ends, then it is closed."""
        cdef int fd = self.fd
        cdef Handle relay
        self.fd = -1
        self.reading = self.writing = False
        for relay in (self.relay_in, self.relay_out):
            if relay is not None:
                relay.parted(self)
        self.out = self.backlog = self.quiet = None
        self.outlen = self.filled = 0
        if self.engine.live():
            if self.armed and not self.cancelling:
                self.engine.cancel(self, self, TAG_RECEIVE)
            if self.sending:
                self.engine.cancel(self, self, TAG_SEND)
            self.engine.close_fd(self, fd)
        else:
            close(fd)
        return 0

    def _closeSocket(self, orderly):
        """See twisted.internet.tcp._SocketCloser."""
        cdef linger option
        if self.fd < 0:
            super()._closeSocket(orderly)
            return
        if not orderly:
            option.l_onoff = 1
            option.l_linger = 0
            c_setsockopt(self.fd, SOL_SOCKET, SO_LINGER, &option, sizeof(option))
        elif self._shouldShutdown:
            shutdown(self.fd, SHUT_RDWR)
        if self._socket is not None:
            self._socket.detach()
            self._socket = None
        self.detach()

    def connectionLost(self, reason):
        """See twisted.internet.tcp.Connection.connectionLost."""
        if self.fd < 0:
            Connection.connectionLost(self, reason)
            return
        protocol = self._protocol
        self.disconnected = 1
        self.connected = 0
        if self.producer is not None:
            self.producer.stopProducing()
            self.producer = None
        if not self.native_write:
            self.reactor.removeWriter(self)
        self._closeSocket(reason is DONE or reason is LOST
                          or not reason.check(error.ConnectionAborted))
        self._protocol = GONE
        self.receiver = None
        self.former = type(protocol)
        protocol.connectionLost(reason)

    @property
    def socket(self):
        """The socket object, made when somebody asks for it."""
        if self._socket is None:
            if self.fd < 0:
                raise AttributeError("socket")
            self._socket = socket.socket(fileno=self.fd)
            self._socket.setblocking(False)
        return self._socket

    @socket.setter
    def socket(self, value):
        self._socket = value

    @socket.deleter
    def socket(self):
        self._socket = None

    def fileno(self):
        return self.fd if self.fd >= 0 or self._socket is None else self._socket.fileno()

    def _get_option(self, int level, int name):
        cdef int value = 0
        cdef unsigned size = sizeof(value)
        if self.fd < 0:
            return self.socket.getsockopt(level, name)
        if c_getsockopt(self.fd, level, name, &value, &size) < 0:
            raise OSError(errno, os.strerror(errno))
        return value

    def _set_option(self, int level, int name, int value):
        if self.fd < 0:
            self.socket.setsockopt(level, name, value)
        elif c_setsockopt(self.fd, level, name, &value, sizeof(value)) < 0:
            raise OSError(errno, os.strerror(errno))

    # -- writing ------------------------------------------------------------

    def write(self, data):
        if self.TLS:
            if self.connected:
                self._protocol.write(data)
        else:
            self.raw_write(data)

    def writeSequence(self, iovec):
        if self.TLS:
            if self.connected:
                self._protocol.writeSequence(iovec)
        elif self.native_write:
            iovec = checked(iovec)
            if sum(map(len, iovec)) <= JOIN:
                self.push(b"".join(iovec))
            else:
                for item in iovec:
                    self.raw_write(item)
        else:
            FileDescriptor.writeSequence(self, iovec)

    def raw_write(self, data):
        """C{write} without TLS."""
        if type(data) is not bytes:
            if not isinstance(data, bytes):
                raise TypeError("Data must be bytes")
            data = bytes(data)
        if self.native_write:
            self.push(data)
        else:
            FileDescriptor.write(self, data)

    cdef int cwrite(self, bytes data) except -1:
        """C{write}, for compiled callers."""
        if self.TLS or not self.native_write:
            self.write(data)
            return 0
        return self.push(data)

    cdef int cgather(self, const char *data, Py_ssize_t size) except -1:
        """C{cwrite}, of bytes that are the caller's."""
        if self.TLS or not self.native_write:
            self.write(PyBytes_FromStringAndSize(data, size))
            return 0
        return self.gather(data, size)

    def loseConnection(self):
        if self.TLS:
            if self.connected and not self.disconnecting:
                self._protocol.loseConnection()
        else:
            self.raw_lose_connection()

    def raw_lose_connection(self):
        """C{loseConnection} without TLS."""
        if not self.connected or self.disconnecting:
            return
        self.stopReading()
        if self._writeDisconnected:
            # Nothing is left to be written, so nothing would close it.
            self.stopWriting()
            self.connectionLost(DONE)
        else:
            self.startWriting()
            self.disconnecting = 1

    def abortConnection(self):
        """See twisted.internet.tcp._AbortingMixin."""
        if self.disconnected or self.aborting:
            return
        if self.fd < 0:
            super().abortConnection()
            return
        self.aborting = True
        self.stopReading()
        self.stopWriting()
        self.out = None
        self.outlen = self.filled = 0
        self.doRead = self.doWrite = lambda *args, **kw: None
        self.reactor.callLater(0, self.connectionLost,
                               failure.Failure(error.ConnectionAborted()))

    def registerProducer(self, producer, streaming):
        if self.TLS:
            self._protocol.registerProducer(producer, streaming)
        else:
            FileDescriptor.registerProducer(self, producer, streaming)

    def unregisterProducer(self):
        if self.TLS:
            self._protocol.unregisterProducer()
        else:
            FileDescriptor.unregisterProducer(self)

    def startTLS(self, ctx, normal=True):
        # Asked for only here: without pyOpenSSL there is no TLS, but everything else.
        from twisted.internet._newtls import startTLS

        startTLS(self, ctx, normal, BypassTLS)

    def reader(self):
        """What IReactorFDSet.getReaders lists for this handle, or None."""
        return self if self.fd >= 0 and self.reading else None

    def writer(self):
        """What IReactorFDSet.getWriters lists for this handle, or None."""
        return self if self.fd >= 0 and (self.writing or self.sending) else None

    # -- the turn -----------------------------------------------------------

    cdef int complete(self, int tag, int res, uint32_t flags) except -1:
        if tag == TAG_RECEIVE:
            self.receive(res, flags)
            if self.quiet is not None and not self.armed:
                self.quieten()
            return 0
        if tag == TAG_SEND:
            return self.transmitted(res, False)
        if tag == TAG_SILENT:
            return self.transmitted(res, True)
        # TAG_FINISHED: a silent send went well, or was heard of before.
        if self.silent:
            self.silent = False
            self.current = None
            if self.fd >= 0:
                if self.to_classic:
                    self.fall_back_to_epoll_writes()
                elif self.writing or self.relay_out is not None:
                    self.writing = True
                    enqueue(self)
        return 0

    cdef int settle(self) except -1:
        self.queued = False
        if self.fd < 0:
            return 0
        if self.dying:
            self.dying -= 1
            if self.dying == 0:
                return self.lose(LOST)
            enqueue(self)
        if self.relay_in is not None:
            pass  # what arrives, and what has arrived, is the relay's
        elif self.reading and self.backlog is not None:
            while self.reading and self.backlog:
                self.deliver(self.backlog.pop(0))
            if not self.backlog:
                self.backlog = None
            if self.fd < 0:
                return 0
        if self.reading and self.relay_in is None:
            if not self.armed and self.backlog is None:
                self.arm()
        elif self.armed and not self.cancelling:
            self.cancelling = True
            self.engine.cancel(self, self, TAG_RECEIVE)
        if self.writing:
            self.flush()
        return 0


def gathered(Stream stream, bytes data):
    """C{cgather}, for tests."""
    stream.cgather(PyBytes_AS_STRING(data), len(data))


def checked(iovec):
    """C{iovec} as a list, all bytes."""
    iovec = list(iovec)
    for item in iovec:
        if not isinstance(item, bytes):
            raise TypeError("Data must be bytes")
    return iovec
