# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""The stream half of a transport: bytes in and out of one socket, by completion.

A C{Stream} is mixed in before one of Twisted's own transport classes. While it
is *native* (C{fd} is not -1) it reads by one multishot receive and writes by
one send at a time, everything written in between gathered into the next.
While it is not (a connecting socket) every method is what Twisted's would be.

What is queued for the kernel is decided once a turn, in C{settle}: who pauses
and resumes within a turn, or writes ten times, costs one operation or none.

Lifetimes: a send's bytes are held (C{current}) until it is known to be over,
also past the end of the connection. A receive that was cancelled by a pause
may still deliver what the kernel had taken: that waits in C{backlog} for the
resumption, in order, the end of the stream too.
"""

from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.object cimport PyObject
from libc.stdint cimport uintptr_t
from posix.unistd cimport close

from subproxy.reactor._iovec cimport IOVectors
from subproxy.reactor._ring cimport (
    TAG_FINISHED, TAG_RECEIVE, TAG_SEND, TAG_SILENT, Handle, Ring, calls, enqueue,
)
from subproxy.reactor._uapi cimport *

import os
import socket

from twisted.internet import abstract, error, main, tcp
from twisted.python import failure, log

from subproxy.reactor.out_of_memory import shortage

cdef extern from "Python.h":
    object PyObject_CallMethodOneArg(object, object, object)

cdef extern from "sys/socket.h" nogil:
    struct linger:
        int l_onoff
        int l_linger
    int MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL, MSG_WAITALL, SHUT_RDWR, SHUT_WR, SO_LINGER, SOL_SOCKET
    int shutdown(int, int)
    Py_ssize_t send(int, const void *, size_t, int)
    int c_getsockopt "getsockopt"(int, int, int, void *, unsigned *)
    int c_setsockopt "setsockopt"(int, int, int, const void *, unsigned)

cdef enum:
    JOIN = 16 * 1024  # bytes that are copied together into one send at most
    BULK = 64 * 1024  # bytes of a receive into a buffer of its own
    FULL = 4  # full buffers in a row after which that is done
    CAP = 64 * 1024  # bytes that one multishot receive takes before it ends
    SILENT_LIMIT = 64 * 1024  # bytes that a socket mostly takes at once

# One for all, as Twisted's own reactors do: building a Failure costs microseconds.
DONE = failure.Failure(main.CONNECTION_DONE)
LOST = failure.Failure(main.CONNECTION_LOST)

cdef object DATA_RECEIVED = "dataReceived"
cdef object GONE = object()
cdef object FileDescriptor = abstract.FileDescriptor
cdef object Connection = tcp.Connection


class BypassTLS:
    """What TLS calls to move its own bytes: the stream without TLS."""

    write = staticmethod(lambda stream, data: stream.raw_write(data))
    writeSequence = staticmethod(lambda stream, iovec: stream.raw_write(b"".join(iovec)))
    loseConnection = staticmethod(lambda stream, *args, **kw: stream.raw_lose_connection())
    registerProducer = staticmethod(FileDescriptor.registerProducer)
    unregisterProducer = staticmethod(FileDescriptor.unregisterProducer)


cdef class Receiver:
    cdef int received(self, char *data, Py_ssize_t size) except -1:
        raise NotImplementedError


cdef class Stream(Handle):
    def __cinit__(self, *args, **kw):
        self.fd = -1
        self.patience = FileDescriptor.bufferSize

    @property
    def bufferSize(self):
        """How much may wait before a producer is paused, in bytes: may be set at any time."""
        return self.patience

    @bufferSize.setter
    def bufferSize(self, value):
        self.patience = value

    # -- life ---------------------------------------------------------------

    cdef int attach(self, Ring ring, int fd) except -1:
        """Become native. The stream owns C{fd} unless a socket object does."""
        self.ring = ring
        self.fd = fd
        self.native_write = True
        return 0

    def go_native(self):
        """Move from the epoll descriptor to the ring: the socket is connected."""
        self.attach(self.reactor.ring, self.socket.fileno())

    cdef int orphan(self) except -1:
        self.armed = self.cancelling = False
        self.incoming = None
        if self.sending:
            # Whether the old ring sent some of it is not known; it was
            # another process's, or another thread's, business.
            self.sending = False
            if self.fd >= 0:
                if self.out is None:
                    self.out = []
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
        self.outlen = 0
        if self.ring.live():
            if self.armed and not self.cancelling:
                self.ring.cancel(self, TAG_RECEIVE)
            if self.sending:
                self.ring.cancel(self, TAG_SEND)
            self.ring.close_fd(fd)
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

    cdef int lose(self, object reason) except -1:
        """C{connectionLost}, as the reactor calls it: what it raises is logged."""
        calls(self)
        try:
            self.connectionLost(reason)
        except BaseException:
            log.callWithLogger(self, log.err)
        return 0

    @property
    def protocol(self):
        if self._protocol is GONE:
            raise AttributeError("protocol")
        return self._protocol

    @protocol.setter
    def protocol(self, value):
        self._protocol = value
        self.receiver = value if isinstance(value, Receiver) else None

    @protocol.deleter
    def protocol(self):
        self._protocol = GONE
        self.receiver = None

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

    # -- reading ------------------------------------------------------------

    def startReading(self):
        if self.fd < 0:
            self.reactor.addReader(self)
        elif not self.reading:
            self.reading = True
            self.quiet = None
            enqueue(self)

    def stopReading(self):
        if self.fd < 0:
            self.reactor.removeReader(self)
        elif self.reading:
            self.reading = False
            if self.armed:
                enqueue(self)

    def when_receive_stopped(self, function):
        """Reading was stopped: call C{function} when nothing is being received any more.

        It gets the bytes that had been taken from the kernel and not delivered. Until
        reading is started again, the descriptor may be read by somebody else.
        """
        self.quiet = function
        if not self.armed:
            self.quieten()

    cdef int quieten(self) except -1:
        function, self.quiet = self.quiet, None
        data = b""
        if self.backlog is not None:
            data = b"".join([item for item in self.backlog if type(item) is bytes])
            # How the stream ended is for the reader that comes back.
            self.backlog = [item for item in self.backlog if type(item) is not bytes] or None
        calls(self)
        try:
            function(data)
        except BaseException:
            self._callback_failed()
        return 0

    @property
    def flushed(self):
        """Whether all that was written has been given to the kernel."""
        return not (self.out or self.sending or self.silent)

    cdef int arm(self) except -1:
        """Ask for bytes: as they come, or once for many.

        A multishot receive takes little pieces into the ring's own buffers,
        and nothing while nothing comes. A stream that fills them one after the
        other is better served by one large receive at a time, straight into
        the bytes object: as long as there is something to be received at once.
        """
        cdef ur_sqe *entry = self.ring.prepare(self, TAG_RECEIVE, UR_OP_RECV, self.fd)
        self.armed = True
        self.capped = False
        if self.bulk:
            self.incoming = PyBytes_FromStringAndSize(NULL, BULK)
            entry.addr = <uintptr_t>PyBytes_AS_STRING(self.incoming)
            entry.len = BULK
            entry.op_flags = MSG_DONTWAIT
        else:
            entry.flags = UR_SQE_BUFFER_SELECT
            entry.ioprio = UR_RECV_MULTISHOT
            # Without a limit it takes half a megabyte at once, before anybody can say that the
            # rest is for somebody else, who would not copy it.
            self.capped = self.ring.capped
            if self.capped:
                entry.file_index = CAP  # optlen
        return 0

    cdef bytes collect(self, int res):
        """The result of one large receive; None if there was nothing."""
        cdef bytes found = self.incoming
        self.incoming = None
        if res < self.ring.size:
            self.bulk = False
            self.full = 0
        if res <= 0:
            return None
        return found if res == BULK else found[:res]

    cdef int receive(self, int res, uint32_t flags) except -1:
        cdef char *data
        cdef Ring ring = self.ring
        cdef Receiver receiver
        cdef bint ready = self.reading and self.backlog is None and self.relay_in is None
        item = None
        if not flags & UR_CQE_F_MORE:
            self.armed = self.cancelling = False
            if self.relay_in is not None:
                enqueue(self.relay_in)
        if self.incoming is not None:
            item = self.collect(res)
        elif flags & UR_CQE_F_BUFFER:
            data = ring.take(flags)
            if res < ring.size:
                self.full = 0
            elif not self.cancelling and self.fd >= 0 and self.receiver is None:
                self.full += 1
                if self.full >= FULL:
                    self.bulk = True
                    if self.armed:
                        self.cancelling = True
                        ring.cancel(self, TAG_RECEIVE)
            if res > 0 and ready and self.receiver is not None:
                calls(self)
                # Held here: it may let go of itself while it is called.
                receiver = self.receiver
                try:
                    receiver.received(data, res)
                except BaseException:
                    self._callback_failed()
                finally:
                    ring.recycle(data)
                if not self.armed and self.reading:
                    enqueue(self)
                return 0
            try:
                if res > 0 and self.fd >= 0:
                    item = PyBytes_FromStringAndSize(data, res)
            except MemoryError:
                # What came is lost, and so, then, is the connection.
                res = -ENOMEM
                shortage.tell()
            finally:
                ring.recycle(data)
        if self.fd < 0:
            return 0
        if res > 0:
            pass
        elif res == -ENOBUFS:
            if self.reading:
                ring.park(self)
            return 0
        elif res == -ECANCELED or res == -EINTR or res == -EAGAIN:
            if self.reading:
                enqueue(self)
            return 0
        elif res == -EINVAL and self.capped:
            # A kernel before 6.17.
            ring.capped = False
            if self.reading:
                enqueue(self)
            return 0
        else:
            item = res
        if ready:
            self.deliver(item)
            if not self.armed and self.reading:
                enqueue(self)
        elif self.backlog is None:
            self.backlog = [item]
        else:
            self.backlog.append(item)
        return 0

    cdef int deliver(self, object item) except -1:
        """Bytes, or how the stream ended: zero, or an error number below it."""
        calls(self)
        if type(item) is bytes:
            try:
                PyObject_CallMethodOneArg(self._protocol, DATA_RECEIVED, item)
            except BaseException:
                self._callback_failed()
            return 0
        self.reading = False
        if item == 0 and not self.dying:
            try:
                self.readConnectionLost(DONE)
            except BaseException:
                log.callWithLogger(self, log.err)
        else:
            self.lose(LOST)
        return 0

    def _callback_failed(self):
        """An exception of the protocol's: log it, and lose the connection."""
        reason = failure.Failure()
        if reason.type is MemoryError:
            shortage.tell()
        else:
            log.callWithLogger(self, log.err, reason)
        if self.fd >= 0:
            self.lose(reason)

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

    cdef int push(self, bytes data) except -1:
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        if not self.connected or self._writeDisconnected or self.aborting or size == 0:
            return 0
        if self.fd < 0 or self.dying:
            return 0
        if self.out is None:
            self.out = []
        self.out.append(data)
        self.outlen += size
        if self.producer is not None and self.outlen > self.patience:
            self._maybePauseProducer()
        self.writing = True
        if not self.queued:
            self.queued = True
            self.ring.todo.append(self)
        return 0

    def startWriting(self):
        if self.native_write:
            if self.fd >= 0:
                self.writing = True
                enqueue(self)
        else:
            self.reactor.addWriter(self)

    def stopWriting(self):
        if self.native_write:
            self.writing = False
        else:
            self.reactor.removeWriter(self)

    def _isSendBufferFull(self):
        if self.native_write:
            return self.outlen > self.bufferSize
        return super()._isSendBufferFull()

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
        self.outlen = 0
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

    def fall_back_to_epoll_writes(self):
        """From now on write by readiness, as Twisted does.

        For what only C{sendmsg} can do. Bytes that a send of the ring has
        taken go first.
        """
        if self.native_write and self.fd >= 0:
            if self.sending or self.silent:
                self.to_classic = True
                return
            self.native_write = self.to_classic = False
            self._tempDataBuffer = self.out or []
            self._tempDataLen = self.outlen
            self.out = None
            self.outlen = 0
            self.writing = False
            self.reactor.addWriter(self)

    cdef int flush(self) except -1:
        """Start the next send, if none is in flight."""
        if self.sending or self.silent or self.lent:  # (lent: a relay's send is in flight)
            return 0
        self.writing = False
        if not self.out:
            return self.drained()
        self.take()
        if self.disconnecting and not self.out and self.producer is None and self.finish():
            return self.lose(DONE)
        # Silent where nobody waits to hear that all has been sent.
        return self.transmit(
            self.size <= SILENT_LIMIT
            and not self.out
            and not self.disconnecting
            and not self._writeDisconnecting
            and (self.producer is None or (self.streamingProducer and not self.producerPaused))
        )

    cdef bint finish(self) noexcept:
        """Send the last words of a connection; whether the socket took them all.

        By a system call of its own, because the connection then ends in this
        turn; and as if more were to come, because what comes is the end, which
        so travels in the same packet.
        """
        cdef Py_ssize_t n
        if self.size > SILENT_LIMIT or type(self.current) is not bytes:
            return False
        n = send(self.fd, PyBytes_AS_STRING(self.current), self.size,
                 MSG_DONTWAIT | MSG_MORE | MSG_NOSIGNAL)
        if n > 0:
            self.sent = n
            self.outlen -= n
        if self.sent < self.size:
            return False  # an error is for `transmit` to find
        self.current = None
        return True

    cdef int take(self) except -1:
        """Make C{current} of what is gathered: joined if it is little."""
        if len(self.out) == 1:
            self.current = self.out.pop()
        elif self.outlen <= JOIN:
            self.current = b"".join(self.out)
            self.out.clear()
        else:
            self.current = IOVectors.first(self.out)
            self.size = (<IOVectors>self.current).size
            self.sent = 0
            return 0
        self.size = PyBytes_GET_SIZE(self.current)
        self.sent = 0
        return 0

    cdef bytes rest(self):
        """What of C{current} has not been sent."""
        if type(self.current) is IOVectors:
            self.current = self.current.joined()
        return self.current[self.sent:]

    cdef int transmit(self, bint silent) except -1:
        """Send C{current} from C{sent} on.

        A silent send is tried once, while it is submitted, and is heard of
        only if the socket did not take it all. The other kind waits for room
        until all is sent.
        """
        cdef ur_sqe *entry
        cdef bint gathered = type(self.current) is IOVectors
        if gathered and self.sent:
            self.current = self.rest()
            self.size = PyBytes_GET_SIZE(self.current)
            self.sent = 0
            gathered = False
        cdef int opcode = UR_OP_SENDMSG if gathered else UR_OP_SEND
        if silent:
            entry = self.ring.prepare_silent(self, TAG_SILENT, opcode, self.fd)
            entry.op_flags = MSG_WAITALL | MSG_NOSIGNAL | MSG_DONTWAIT
            self.silent = True
            self.outlen -= self.size - self.sent
        else:
            entry = self.ring.prepare(self, TAG_SEND, opcode, self.fd)
            entry.op_flags = MSG_WAITALL | MSG_NOSIGNAL
            self.sending = True
        if gathered:
            entry.addr = <uintptr_t>&(<IOVectors>self.current).header
            entry.len = 1
        else:
            entry.addr = <uintptr_t>(PyBytes_AS_STRING(self.current) + self.sent)
            entry.len = <uint32_t>min(self.size - self.sent, 0x40000000)
        return 0

    cdef int transmitted(self, int res, bint silent) except -1:
        """A send is over, or a silent one fell short."""
        cdef Py_ssize_t left
        if silent:
            self.silent = False
        else:
            self.sending = False
        if self.fd < 0:
            self.current = None
            return 0
        if res < 0 and not (res == -EAGAIN or res == -EINTR or res == -ENOBUFS):
            return self.failed(res)
        left = self.size - self.sent
        if silent:
            self.outlen += left
        if res > 0:
            self.sent += res
            self.outlen -= res
            left -= res
        if left and not self.aborting:
            return self.transmit(False)
        self.current = None
        if self.to_classic:
            self.fall_back_to_epoll_writes()
        elif not self.aborting:
            self.flush()
        return 0

    cdef int failed(self, int res) except -1:
        """A send has failed for good."""
        self.current = None
        self.out = None
        self.outlen = 0
        if res == -ECANCELED:
            return 0
        if not self.reading:
            return self.lose(LOST)
        # The peer is gone, but what it said before may not have been heard
        # yet: a turn passes before the connection is lost.
        self.dying = 3
        return enqueue(self)

    cdef int drained(self) except -1:
        """All is sent: what FileDescriptor.doWrite does then."""
        if self.relay_out is not None:
            enqueue(self.relay_out)
        if self.producer is None and not self.disconnecting and not self._writeDisconnecting:
            return 0
        calls(self)
        try:
            if self.producer is not None and (
                    not self.streamingProducer or self.producerPaused):
                self.producerPaused = False
                self.producer.resumeProducing()
            elif self.disconnecting:
                self.lose(DONE)
            elif self._writeDisconnecting and not self._writeDisconnected:
                self._writeDisconnected = True
                self._closeWriteConnection()
        except BaseException:
            self._callback_failed()
        return 0

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
            self.ring.cancel(self, TAG_RECEIVE)
        if self.writing:
            self.flush()
        return 0


def checked(iovec):
    """C{iovec} as a list, all bytes."""
    iovec = list(iovec)
    for item in iovec:
        if not isinstance(item, bytes):
            raise TypeError("Data must be bytes")
    return iovec
