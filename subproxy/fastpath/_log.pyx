# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Access-log lines in one buffer, and counters in C.

`Lines` takes the place of `subproxy.frontend.log_lines.Lines`: the lines of the Python path
go into the same buffer, so that all are in order.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

import time

from subproxy.frontend.access_log import FLUSH_SIZE as _flush_size

from subproxy.fastpath._bytes cimport u8, clock_now
from subproxy.fastpath._tables cimport IS_PLAIN, Tables, tables

cdef extern from "time.h":
    int CLOCK_REALTIME

cdef const Tables *T = tables()

cdef enum:
    USUAL = 65536

cdef Py_ssize_t FLUSH_SIZE = _flush_size


cdef u8 *put_escaped(u8 *o, const u8 *text, Py_ssize_t size) noexcept nogil:
    """`subproxy.frontend.log_format.escaped`: up to four times as long."""
    cdef Py_ssize_t i
    cdef u8 byte
    for i in range(size):
        byte = text[i]
        if T.classes[byte] & IS_PLAIN:
            o[0] = byte
            o += 1
        else:
            o[0] = c"\\"
            o[1] = c"x"
            o[2] = (<const u8 *>b"0123456789ABCDEF")[byte >> 4]
            o[3] = (<const u8 *>b"0123456789ABCDEF")[byte & 15]
            o += 4
    return o


cdef class Lines:
    """See `subproxy.frontend.log_lines.Lines`."""

    def __cinit__(self):
        self.capacity = USUAL
        self.buffer = <u8 *>malloc(self.capacity)
        if self.buffer == NULL:
            raise MemoryError
        self.second = -1

    def __dealloc__(self):
        free(self.buffer)

    def __init__(self, log):
        self.log = log
        self.coarse = log.wall is time.time

    def append(self, bytes line):
        """Take one whole line; return how many bytes wait."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(line)
        cdef u8 *o = self.reserve(size)
        memcpy(o, PyBytes_AS_STRING(line), size)
        self.used += size
        self.count += 1
        return self.used

    def take(self):
        """All that waits, and how many lines that is."""
        cdef long count = self.count
        data = PyBytes_FromStringAndSize(<char *>self.buffer, self.used)
        self.used = 0
        self.count = 0
        if self.capacity > 4 * USUAL:
            self.capacity = USUAL
            self.buffer = <u8 *>realloc(self.buffer, self.capacity)
        return data, count

    cdef u8 *reserve(self, Py_ssize_t size) except NULL:
        """Room for so many bytes."""
        cdef u8 *larger
        if self.used + size > self.capacity:
            larger = <u8 *>realloc(self.buffer, 2 * (self.used + size))
            if larger == NULL:
                raise MemoryError
            self.buffer = larger
            self.capacity = 2 * (self.used + size)
        return self.buffer + self.used

    cdef int wrote(self, u8 *end) except -1:
        """A line was written to where `reserve` said, up to `end`."""
        self.used = end - self.buffer
        self.count += 1
        if self.count == 1 or self.used >= FLUSH_SIZE:
            self.log.waits(self.used)
        return 0

    cdef bytes today(self):
        """The time of day as the log spells it."""
        cdef double now = clock_now(CLOCK_REALTIME) if self.coarse else self.log.wall()
        cdef long second = <long>now
        if second != self.second:
            self.second = second
            self.date = self.log.spell(second)
        return self.date


cdef int count(Counters *counters, int status, Py_ssize_t sent, double seconds) noexcept nogil:
    """One answer by the compiled path."""
    cdef uint64_t micros = <uint64_t>(seconds * 1e6) if seconds > 0.0 else 0
    cdef int bucket = 0
    while micros and bucket < 63:
        micros >>= 1
        bucket += 1
    counters.requests += 1
    counters.bytes_sent += sent
    counters.seconds += seconds
    counters.statuses[status] += 1
    counters.histogram[bucket] += 1
    return 0
