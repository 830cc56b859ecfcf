# The client's side of the compiled path. See _connection.pyx.
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._fallback cimport ReplaceableConnection
from subproxy.fastpath._http2_connection cimport FastHttp2Connection
from subproxy.fastpath._request_head cimport Head
from subproxy.reactor._stream cimport Stream


cdef class FastPath(FastContext):
    pass


cdef class FastConnection(ReplaceableConnection):
    cdef Stream stream
    cdef bint agreed  # upon HTTP/2
    cdef FastHttp2Connection http2  # what serves it, if it turned out to speak that


    cdef int take(self, const u8 *data, Py_ssize_t size) except -1
    cdef bint begin(self, const u8 *data, Py_ssize_t size, Head *head) except -1
    cdef int to_http2(self, const u8 *data, Py_ssize_t size) except -1
    cdef int gather(self, const u8 *data, Py_ssize_t size, Py_ssize_t whole) except -1
    cdef int gather_more(self, const u8 *data, Py_ssize_t size) except -1
