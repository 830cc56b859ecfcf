# What a guest sends through its tunnels. See _tunnel_channel.pyx.
from subproxy.fastpath._answering_connection cimport AnsweringConnection
from subproxy.fastpath._channel cimport FastChannel

cdef AnsweringConnection front_of(connection)


cdef class FastTunnelChannel(FastChannel):
    cdef dict carriers

    cdef int pass_on(
        self, object carrier, object window, object exchange, object stream, object connection,
        AnsweringConnection front, Py_ssize_t size, bytes written,
    ) except -1
