# The client's side of the compiled path. See _connection.pyx.
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._http2_connection cimport FastHttp2Connection
from subproxy.fastpath._request_head cimport Head
from subproxy.fastpath._tunnelling_connection cimport TunnellingConnection


cdef class FastPath(FastContext):
    pass


cdef class FastConnection(TunnellingConnection):
    cdef FastHttp2Connection http2  # what serves it, if it turned out to speak that

    cdef bint begin(self, const u8 *data, Py_ssize_t size, Head *head, bytes behind=*) except -1
    cdef int to_http2(self, const u8 *data, Py_ssize_t size) except -1
    cdef int gather(self, const u8 *data, Py_ssize_t size, const Head *head) except -1
    cdef int offer(self) except -1
    cdef int gather_more(self, const u8 *data, Py_ssize_t size) except -1
