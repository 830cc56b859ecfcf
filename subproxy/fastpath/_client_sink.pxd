# Where the bytes of an answer go on a plain connection of a client. See _client_sink.pyx.
from subproxy.reactor._stream cimport Stream
from subproxy.relay._byte_sink cimport ByteSink, RoomWaiter


cdef class ClientSink(ByteSink):
    cdef object transport
    cdef Stream stream  # the transport, if it is one
    cdef RoomWaiter waiter
    cdef int told_descriptor  # of a transport that is no stream; -1 until it was asked for
    cdef long long window  # bytes that it had left when C{untouched} was asked; -1 if that is unknown

    cdef int bind(self, object transport, Stream stream) except -1
    cdef int plain(self) except? -2
    cdef bint flushed(self) except -1
    cdef bint untouched(self, long long *acknowledged) except -1
    cdef int write_both(
        self, const char *head, Py_ssize_t head_size, const char *data, Py_ssize_t size,
    ) except -1
    cdef int left(self) except -1
    cdef int closed(self) except -1
