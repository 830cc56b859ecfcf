# What guests and the log are told of clients. See _told.pyx.
from subproxy.fastpath._encode cimport Sender
from subproxy.fastpath._scan cimport Head


cdef class ToldOrigin:
    # What is told of a client by the word of a trusted peer.
    cdef bytes client
    cdef bytes scheme
    cdef bytes via
    cdef bytes fields
    cdef Sender sender


cdef class Told:
    # Of a client at one address.
    cdef object forwarding
    cdef object peer
    cdef bytes address
    cdef bytes scheme
    cdef bytes node
    cdef bytes via
    cdef bytes key
    cdef Sender sender
    cdef bint trusted
    cdef dict origins  # by peer and all that it says: see `origin`
    cdef dict others  # by peer and all that it says but for one address: see `make`

    cdef ToldOrigin origin(self, const Head *head)


cdef class Clients:
    cdef object forwarding
    cdef dict told
    cdef dict origins
    cdef dict others

    cdef Told of(self, object transport)
    cdef Told at(self, object host, bint secure)
