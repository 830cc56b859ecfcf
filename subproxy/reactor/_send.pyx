# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""The sending half of a stream: bytes into one socket, by one send at a time.

Everything written in between is gathered into the next. A send's bytes are held (C{current})
until it is known to be over, also past the end of the connection.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from libc.string cimport memcpy

from subproxy.reactor._iovec cimport IOVectors, msghdr
from subproxy.reactor._receive cimport ReceivingStream
from subproxy.reactor._engine cimport calls, enqueue
from subproxy.reactor._uapi cimport *

from twisted.internet import abstract

from subproxy.reactor._receive import DONE, LOST

cdef extern from "sys/socket.h" nogil:
    int MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL
    Py_ssize_t send(int, const void *, size_t, int)

cdef extern from "Python.h":
    void *PyList_GET_ITEM(list, Py_ssize_t)

cdef extern from "gather.h":
    object take_only(list)
    int trim_last(list, Py_ssize_t) except -1

cdef enum:
    MOST_COPIED = 4096  # bytes that are copied to others of the same turn
    MOST_ROOM = 64 * 1024  # bytes of one that others are copied to
    SILENT_LIMIT = 64 * 1024  # bytes that a socket mostly takes at once

cdef object FileDescriptor = abstract.FileDescriptor


cdef class SendingStream(ReceivingStream):
    """What of a stream is about sending, and the producer that it asks for more."""

    def __cinit__(self, *args, **kw):
        self.patience = FileDescriptor.bufferSize

    @property
    def bufferSize(self):
        """How much may wait before a producer is paused, in bytes: may be set at any time."""
        return self.patience

    @bufferSize.setter
    def bufferSize(self, value):
        self.patience = value

    @property
    def flushed(self):
        """Whether all that was written has been given to the kernel."""
        return not (self.out or self.sending or self.silent)

    @property
    def waiting(self):
        """Bytes that were written, and that the kernel has not taken."""
        if self.native_write:
            return self.outlen
        return len(self.dataBuffer) - self.offset + self._tempDataLen

    cdef int push(self, bytes data) except -1:
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        if not self.connected or self._writeDisconnected or self.aborting or size == 0:
            return 0
        if self.fd < 0 or self.dying:
            return 0
        if self.out is None:
            self.out = []
        elif self.filled:
            self.trim()
        self.out.append(data)
        self.outlen += size
        return self.soon()

    cdef int gather(self, const char *data, Py_ssize_t size) except -1:
        """As C{push}, with bytes that are copied: many little ones become one."""
        cdef bytes last
        if size > MOST_COPIED:
            return self.push(PyBytes_FromStringAndSize(data, size))
        if not self.connected or self._writeDisconnected or self.aborting or size == 0:
            return 0
        if self.fd < 0 or self.dying:
            return 0
        if self.out is None:
            self.out = []
        if self.filled:
            last = <bytes>PyList_GET_ITEM(self.out, PyList_GET_SIZE(self.out) - 1)
            if PyBytes_GET_SIZE(last) - self.filled < size:
                self.room = min(2 * PyBytes_GET_SIZE(last), MOST_ROOM)
                last = None
                self.trim()
        if not self.filled:
            last = PyBytes_FromStringAndSize(NULL, max(self.room, size))
            self.out.append(last)
        memcpy(PyBytes_AS_STRING(last) + self.filled, data, size)
        # A producer that is paused now may write, and who makes it shorter must have it alone.
        last = None
        self.filled += size
        self.outlen += size
        return self.soon()

    cdef int trim(self) except -1:
        """What is written next does not go into the last of C{out}."""
        cdef Py_ssize_t filled = self.filled
        self.filled = 0
        return trim_last(self.out, filled)

    cdef int soon(self) except -1:
        """Something was written: it is sent in this turn, if it can be."""
        if self.producer is not None and self.outlen > self.patience:
            self._maybePauseProducer()
        self.writing = True
        if not self.queued:
            self.queued = True
            self.engine.todo.append(self)
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

    def fall_back_to_epoll_writes(self):
        """From now on write by readiness, as Twisted does.

        For what only C{sendmsg} can do. Bytes that a send has taken go first.
        """
        if self.native_write and self.fd >= 0:
            if self.sending or self.silent:
                self.to_classic = True
                return
            self.native_write = self.to_classic = False
            if self.filled:
                self.trim()
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
        if self.filled:
            # Next time it will be about as much.
            self.room = self.outlen
            if self.outlen > MOST_COPIED:
                self.room = min(self.outlen + self.outlen // 8, MOST_ROOM)
            self.trim()
        if PyList_GET_SIZE(self.out) == 1:
            self.current = take_only(self.out)
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
        cdef const char *data = NULL
        cdef msghdr *header = NULL
        if type(self.current) is IOVectors and self.sent:
            self.current = self.rest()
            self.size = PyBytes_GET_SIZE(self.current)
            self.sent = 0
        if type(self.current) is IOVectors:
            header = &(<IOVectors>self.current).header
        else:
            data = PyBytes_AS_STRING(self.current) + self.sent
        if not silent:
            self.sending = True
            return self.engine.send(self, self, self.fd, data, self.size - self.sent, header)
        self.silent = True
        self.outlen -= self.size - self.sent
        if self.engine.send_silent(self, self.fd, data, self.size - self.sent, header):
            self.silent = False
            self.current = None
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
        self.outlen = self.filled = 0
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
