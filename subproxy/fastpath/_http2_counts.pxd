# The numbers of one connection of HTTP/2. See _http2_counts.pyx.
from libc.stdint cimport int64_t


cdef class FastHttp2Counts:
    # subproxy.frontend.http2.counts.IHttp2Counts
    cdef public long last_stream
    cdef public long open
    cdef public long requests
    cdef public int64_t room
    cdef public int64_t first_room
    cdef public int64_t heads
    cdef public int64_t left
    cdef public int64_t taken
    cdef public bint shrinks

    cdef bint holds_much(self) noexcept
