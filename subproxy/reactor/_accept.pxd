# Accepting connections. See _accept.pyx.
from libc.stdint cimport uint32_t

from subproxy.reactor._engine cimport Engine, Handle
from subproxy.reactor._stream cimport Stream


cdef class AcceptedStream(Stream):
    # What the compiled way fills in of a server's transport. ``peer`` and
    # ``host`` are address objects; None is what has not been asked for.
    cdef public object server
    cdef public object peer
    cdef public object host
    cdef public object sessionno

    cdef int begin(self, Engine engine, int fd) except -1


cdef class Acceptor(Handle):
    cdef int fd
    cdef readonly bint wanted
    cdef bint armed
    cdef bint cancelling
    cdef bint retired
    cdef bint compiled
    cdef object port
    cdef object transport
    cdef list pending

    cdef int accepted(self, int fd) except -1
    cdef int connect(self, int fd) except -1
