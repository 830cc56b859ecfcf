# What guests and the log are told of clients. See _told.pyx.
from subproxy.fastpath._encode cimport Sender
from subproxy.fastpath._scan cimport Field


cdef class Told:
    # Of a client at one address.
    cdef object forwarding
    cdef object peer
    cdef bytes address
    cdef bytes scheme
    cdef bytes node
    cdef bytes via
    cdef Sender sender
    cdef bint trusted
    cdef dict clients  # of a trusted peer, by what it says in X-Forwarded-For

    cdef bytes client(self, const Field *sent)


cdef class Clients:
    cdef object forwarding
    cdef dict told

    cdef Told of(self, object transport)
    cdef Told at(self, object host, bint secure)
