# The stream half of a transport. See _stream.pyx.
from libc.stdint cimport uint32_t

from subproxy.reactor._ring cimport Handle, Ring


cdef class Receiver:
    """A compiled protocol: it is given the bytes where the kernel put them.

    C{data[size]} may be written to (a terminating zero); nothing may be kept
    after the call returns. An exception loses the connection, as one out of
    C{dataReceived} does. Only a native stream calls it: C{dataReceived} must
    do the same, for the epoll reactor and for TLS.
    """

    cdef int received(self, char *data, Py_ssize_t size) except -1


cdef class Stream(Handle):
    cdef readonly int fd
    cdef readonly bint reading
    cdef bint armed
    cdef bint cancelling
    cdef bint bulk
    cdef bint capped
    cdef int full
    cdef bytes incoming
    cdef bint writing
    cdef bint sending
    cdef bint silent
    cdef bint to_classic
    cdef bint aborting
    cdef readonly bint native_write
    cdef int dying
    cdef list out
    cdef Py_ssize_t outlen
    cdef object current
    cdef Py_ssize_t size
    cdef Py_ssize_t sent
    cdef list backlog
    cdef object quiet
    cdef object _protocol
    cdef Receiver receiver
    cdef Handle relay_in
    cdef Handle relay_out
    cdef bint lent
    cdef object _socket
    cdef readonly object former
    cdef public object reactor
    cdef public object producer
    cdef Py_ssize_t patience  # bufferSize: bytes that may wait before a producer is paused
    cdef public int connected
    cdef public int disconnected
    cdef public int disconnecting
    cdef public bint _writeDisconnecting
    cdef public bint _writeDisconnected
    cdef public bint producerPaused
    cdef public bint streamingProducer
    cdef public bint TLS

    cdef int attach(self, Ring ring, int fd) except -1
    cdef int cwrite(self, bytes data) except -1
    cdef int push(self, bytes data) except -1
    cdef int receive(self, int res, uint32_t flags) except -1
    cdef bytes collect(self, int res)
    cdef bytes rest(self)
    cdef int deliver(self, object item) except -1
    cdef int quieten(self) except -1
    cdef int arm(self) except -1
    cdef int flush(self) except -1
    cdef bint finish(self) noexcept
    cdef int take(self) except -1
    cdef int transmit(self, bint silent) except -1
    cdef int transmitted(self, int res, bint silent) except -1
    cdef int failed(self, int res) except -1
    cdef int drained(self) except -1
    cdef int lose(self, object reason) except -1
    cdef int detach(self) except -1
