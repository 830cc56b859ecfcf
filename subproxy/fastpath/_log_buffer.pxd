# Access-log lines and counters. See _log_buffer.pyx.
from libc.stdint cimport uint64_t

from subproxy.fastpath._bytes cimport u8

cdef class FastLogBuffer:
    cdef u8 *buffer
    cdef Py_ssize_t used
    cdef Py_ssize_t capacity
    cdef long count
    cdef list late
    cdef long second
    cdef bytes date
    cdef object log
    cdef bint coarse
    cdef bint json
    cdef readonly object escape
    cdef readonly object route_name

    cdef u8 *reserve(self, Py_ssize_t size) except NULL
    cdef int wrote(self, u8 *end) except -1
    cdef bytes today(self)

cdef enum:
    MOST_BUCKETS = 31
    MOST_STATUSES = 6


cdef class FastCounters:
    # What was counted of one route and is not in its RouteCounters yet.
    cdef object pool
    cdef object counters
    cdef list dirty
    cdef uint64_t requests
    cdef uint64_t sent
    cdef uint64_t received
    cdef double seconds
    cdef uint64_t buckets[MOST_BUCKETS + 1]
    # Of answers whose first byte is not their last:
    cdef double first_seconds
    cdef double last_seconds
    cdef uint64_t first_buckets[MOST_BUCKETS + 1]
    cdef uint64_t last_buckets[MOST_BUCKETS + 1]
    cdef int status[MOST_STATUSES]
    cdef uint64_t status_count[MOST_STATUSES]

    cdef int count(self, int status, Py_ssize_t sent, Py_ssize_t received, double seconds) except -1
    cdef int count_streamed(
        self, int status, long long sent, long long received, double first, double last
    ) except -1
    cdef int add(self, int status, long long sent, long long received) except -1
    cpdef settle(self)
