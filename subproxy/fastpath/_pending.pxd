# The request that is being answered. See _pending.pyx.
from libc.stdint cimport int64_t, uint64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._route_cache cimport RouteEntry
from subproxy.fastpath._log_buffer cimport FastLogBuffer
from subproxy.fastpath._request_head cimport Field, Head
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._client_info cimport ClientInfo, ClientOrigin


cdef class PendingRequest:
    cdef bytes prefix  # of its id
    cdef RouteEntry way
    cdef readonly uint64_t number
    cdef bytes data  # head and body, as they came
    cdef bytes behind  # the body, and what ends its frame, if that was gathered apart from the head
    cdef bytes client
    cdef ClientOrigin origin  # by the word of a trusted peer; None: the client is the peer
    cdef uint64_t id  # if the request brought none that is taken over
    cdef int id_at
    cdef int id_size
    cdef int head_size
    cdef readonly int64_t received  # bytes of body, in `data` or not
    cdef readonly bint streamed  # it is not there
    cdef int method_size
    cdef int line_size
    cdef int agent_at
    cdef int agent_size
    cdef int referer_at
    cdef int referer_size
    cdef bytes traceparent  # that it was given; None: it has its own, or traces are not followed
    cdef int trace_at  # its own
    cdef bint is_head
    cdef bint close
    cdef bint http2

    cdef int keep(self, bytes data, const u8 *at, const Head *head, bytes behind=*) except -1
    cdef int forget(self) except -1
    cdef u8 *put_id(self, u8 *o)
    cdef bytes frame(self, FastContext path, ClientInfo told)
    cdef int log(
        self, FastLogBuffer lines, bytes member, int status, Py_ssize_t sent, double guest,
        double first, double seconds,
    ) except -1


cdef bint acceptable(const Field *sent) noexcept nogil
