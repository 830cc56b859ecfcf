# The sending half of a stream. See _send.pyx.
from subproxy.reactor._receive cimport ReceivingStream
from subproxy.reactor._engine cimport Handle


cdef enum:
    JOIN = 16 * 1024  # bytes that are copied together into one send at most


cdef class SendingStream(ReceivingStream):
    cdef bint writing
    cdef bint sending
    cdef bint silent
    cdef bint to_classic
    cdef bint aborting
    cdef readonly bint native_write
    cdef list out
    cdef Py_ssize_t outlen
    # The last of `out` is filled by `gather`: so far; 0 if it is not.
    cdef Py_ssize_t filled
    cdef Py_ssize_t room  # bytes that one of those is to have
    cdef object current
    cdef Py_ssize_t size
    cdef Py_ssize_t sent
    cdef Handle relay_out
    cdef bint lent
    cdef public object producer
    cdef Py_ssize_t patience  # bufferSize: bytes that may wait before a producer is paused
    cdef public int connected
    cdef public int disconnected
    cdef public int disconnecting
    cdef public bint _writeDisconnecting
    cdef public bint _writeDisconnected
    cdef public bint producerPaused
    cdef public bint streamingProducer

    cdef int push(self, bytes data) except -1
    cdef int gather(self, const char *data, Py_ssize_t size) except -1
    cdef int trim(self) except -1
    cdef int soon(self) except -1
    cdef bytes rest(self)
    cdef int flush(self) except -1
    cdef bint finish(self) noexcept
    cdef int take(self) except -1
    cdef int transmit(self, bint silent) except -1
    cdef int transmitted(self, int res, bint silent) except -1
    cdef int failed(self, int res) except -1
    cdef int drained(self) except -1
