# What all connections of one frontend share. See _context.pyx.
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._route_cache cimport RouteCache
from subproxy.fastpath._log_buffer cimport FastLogBuffer
from subproxy.fastpath._request_head cimport Bounds
from subproxy.fastpath._client_info cimport ClientInfoCache

cdef enum:
    MOST_HEAD = 16384  # bytes of a head, above which Python has it


cdef class FastContext:
    cdef readonly object factory
    cdef object connections
    cdef object monotonic
    cdef bint real_time
    cdef readonly RouteCache chooser
    cdef ClientInfoCache clients
    cdef FastLogBuffer lines
    cdef Bounds bounds
    cdef long most_requests
    cdef long most_connections
    cdef double keepalive_timeout
    cdef double look_early  # how long before an idle connection's end its last answer is looked after
    cdef double header_timeout
    cdef double response_timeout
    cdef double tunnel_idle
    cdef long most_inline  # bytes of a body that is sent on from here, in its frame
    cdef long long most_body  # bytes of a body that is allowed at all; 0: any
    cdef object ids
    cdef bytes prefix
    cdef object traces  # what follows them; None: nobody does
    cdef public bytes date
    cdef public bint draining
    cdef public bint http2  # it is spoken
    cdef readonly object turns  # what connections of HTTP/2 that have much for Python have of each
    cdef readonly long answered
    cdef readonly long declined_requests
    cdef readonly long declined_answers
    cdef readonly long tunnels  # that began here
    cdef readonly long tunnelled  # pieces that went through tunnels, in either direction
    cdef readonly long streamed  # pieces of answers that Python streams
    cdef u8 *scratch
    cdef Py_ssize_t scratch_size
    cdef u8 *frames  # where the frame of a request is made, which nothing else uses
    cdef Py_ssize_t frames_size
    # The frame of the request that was prepared, until it is asked:
    cdef const u8 *frame
    cdef Py_ssize_t frame_size

    cdef double now(self) except? -1.0
    cdef long next_id(self) except -1
    cdef u8 *frame_end(self, Py_ssize_t size) except NULL
    cdef u8 *room(self, Py_ssize_t size) except NULL
