# Access-log lines and counters. See _log.pyx.
from libc.stdint cimport uint64_t

from subproxy.fastpath._bytes cimport u8

cdef class Lines:
    cdef u8 *buffer
    cdef Py_ssize_t used
    cdef Py_ssize_t capacity
    cdef long count
    cdef list late
    cdef long second
    cdef bytes date
    cdef object log
    cdef bint coarse

    cdef u8 *reserve(self, Py_ssize_t size) except NULL
    cdef int wrote(self, u8 *end) except -1
    cdef bytes today(self)

cdef u8 *put_escaped(u8 *o, const u8 *text, Py_ssize_t size) noexcept nogil

cdef struct Counters:
    uint64_t requests
    uint64_t bytes_sent
    uint64_t declined_requests
    uint64_t declined_answers
    uint64_t statuses[600]
    uint64_t histogram[64]
    double seconds

cdef int count(Counters *counters, int status, Py_ssize_t sent, double seconds) noexcept nogil
