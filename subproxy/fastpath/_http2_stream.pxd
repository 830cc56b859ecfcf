# One stream of HTTP/2 on the compiled path. See _http2_stream.pyx.
from libc.stdint cimport int64_t

from subproxy.fastpath._asking cimport AskingClient
from subproxy.fastpath._body_assembly cimport BodyAssembly
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._http2_output cimport FastHttp2Output
from subproxy.fastpath._request_head cimport Head


cdef class FastHttp2Stream(AskingClient):
    cdef FastHttp2Output front
    cdef readonly long number
    cdef double late  # when it has waited for too long
    cdef bint leaves  # it is among those that Python is to have
    cdef readonly int64_t room  # what the client has opened its window by

    # Of a request whose body is gathered:
    cdef BodyAssembly gathering
    cdef long cost  # bytes that its head takes, as long as it is here
    cdef Py_ssize_t came  # bytes of the body, of so many:
    cdef int64_t length  # -1 if that is not known
    cdef readonly bint whole

    cdef bint waits(self, double now) except -1
    cdef int leave(self) except -1
    cdef bint gather(self, const u8 *data, Py_ssize_t size, const Head *head) except -1
    cdef bint begin_gathered(self) except -1
    cdef bint begin(self, const u8 *data, Py_ssize_t size, Head *head, BodyAssembly gathered=*) except -1


cdef int leave_bodies(dict streams) except -1
