# What a client sends through a tunnel. See _client_tunnel.pyx.
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._context cimport FastContext

cdef bint pass_to_guest(
    FastContext path, object connection, object tunnel, const u8 *data, Py_ssize_t size,
) except -1
