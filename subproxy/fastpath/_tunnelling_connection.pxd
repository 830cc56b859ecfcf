# A client's connection that may become a tunnel. See _tunnelling_connection.pyx.
from subproxy.fastpath._answering_connection cimport AnsweringConnection
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._fast_tunnel cimport FastTunnel


cdef class TunnellingConnection(AnsweringConnection):
    cdef readonly FastTunnel tunnel  # once it is one

    cdef bint to_guest(self, const u8 *data, Py_ssize_t size) except -1
    cdef int drained(self) except -1
    cdef int listen(self, bint on) except -1
