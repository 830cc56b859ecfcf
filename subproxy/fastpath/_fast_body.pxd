# A body between a client's socket and a data connection. See _fast_body.pyx.
from libc.stdint cimport int64_t

from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._claim_watch cimport BodyClaim, ClaimWatch
from subproxy.fastpath._client_sink cimport ClientSink
from subproxy.fastpath._fallback cimport ReplaceableConnection
from subproxy.relay._flow cimport Flow


cdef class FastBody(BodyClaim):
    cdef ReplaceableConnection front
    cdef FastChannel channel
    cdef ClientSink sink
    cdef ClaimWatch watch  # while that carries it
    cdef readonly Flow flow  # while it moves
    cdef object pipe  # its
    cdef readonly int64_t length
    cdef readonly int64_t moved  # of it, where it is to go

    cdef int splice(self, int source, int sink, int64_t left, long long window=*) except -1
    cdef int flow_over(self) except -1
    cdef int carried(self) except -1
