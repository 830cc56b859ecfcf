# What guests and the log are told of clients. See _told.pyx.
from subproxy.fastpath._request_frame cimport Sender
from subproxy.fastpath._request_head cimport Head


cdef class ClientOrigin:
    # What is told of a client by the word of a trusted peer.
    cdef bytes client
    cdef bytes scheme
    cdef bytes via
    cdef bytes fields
    cdef Sender sender


cdef class ClientInfo:
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

    cdef ClientOrigin origin(self, const Head *head)


cdef class ClientInfoCache:
    cdef object forwarding
    cdef dict told
    cdef dict origins
    cdef dict others

    cdef int forget(self) except -1
    cdef ClientInfo of(self, object transport)
    cdef ClientInfo at(self, object host, bint secure)
    cdef ClientInfo with_http2(self, ClientInfo told)
