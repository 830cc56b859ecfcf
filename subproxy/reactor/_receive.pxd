# The receiving half of a stream. See _receive.pyx.
from libc.stdint cimport uint32_t

from subproxy.reactor._engine cimport Handle


cdef enum:
    MOST = 64 * 1024  # bytes that one multishot receive takes before it ends, if nobody says else


cdef class Receiver:
    """A compiled protocol: it is given the bytes where the kernel put them.

    C{data[size]} may be written to (a terminating zero); nothing may be kept
    after the call returns. An exception loses the connection, as one out of
    C{dataReceived} does. Only a native stream calls it: C{dataReceived} must
    do the same, for other reactors and for TLS.
    """

    cdef int received(self, char *data, Py_ssize_t size) except -1


cdef class ReceivingStream(Handle):
    cdef readonly int fd
    cdef readonly bint reading
    cdef bint armed
    cdef bint cancelling
    cdef bint bulk
    cdef bint capped
    cdef int full
    cdef bytes incoming
    cdef bint placed  # it is somebody's, and filled from here on:
    cdef Py_ssize_t placed_at
    cdef bytes offered  # where what comes next may be put, from here on, so many bytes:
    cdef Py_ssize_t offered_at
    cdef Py_ssize_t offered_size
    cdef public int most  # bytes that one multishot receive takes, if that can be told
    cdef public int read_size  # bytes of one receive, where much comes
    cdef int dying
    cdef list backlog
    cdef object quiet
    cdef object _protocol
    cdef Receiver receiver
    cdef Handle relay_in
    cdef public object reactor

    cdef int receive(self, int res, uint32_t flags) except -1
    cdef bytes collect(self, int res)
    cdef int deliver(self, object item) except -1
    cdef int quieten(self) except -1
    cdef int arm(self) except -1
    cdef int offer(self, bytes room, Py_ssize_t place, Py_ssize_t size) except -1
    cdef int hand_over(self, char *data, Py_ssize_t size) except -1
    cdef int lose(self, object reason) except -1
