# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Access-log lines in one buffer, and the counts of each route in C.

C{FastLogBuffer} takes the place of C{subproxy.telemetry.log_buffer.ILogBuffer}: the lines of the Python path
go into the same buffer, so that all are in order.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

import time

from subproxy.telemetry.counters import BUCKETS as _buckets
from subproxy.telemetry.access_log import FLUSH_SIZE as _flush_size
from subproxy.telemetry.log_format import FORMATS

from subproxy.fastpath._bytes cimport u8, clock_now

cdef extern from "time.h":
    int CLOCK_REALTIME_COARSE

cdef enum:
    USUAL = 81920  # FLUSH_SIZE, and a line more

cdef Py_ssize_t FLUSH_SIZE = _flush_size


cdef class FastLogBuffer:
    """See C{subproxy.telemetry.log_buffer.ILogBuffer}.

    C{json} tells which of the formats of C{_log_format} the lines have; C{escape} and C{route_name}
    make of texts that stand in many of them what stands there.
    """

    def __cinit__(self):
        self.capacity = USUAL
        self.buffer = <u8 *>malloc(self.capacity)
        if self.buffer == NULL:
            raise MemoryError
        self.second = -1

    def __dealloc__(self):
        free(self.buffer)

    def __init__(self, log):
        if log.style not in ("combined", "json"):
            raise ValueError(f"this access log is written by Python alone: {log.style}")
        self.log = log
        self.json = log.style == "json"
        self.escape = FORMATS[log.style].escape
        self.route_name = FORMATS[log.style].route_name
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
        """A line was written to where C{reserve} said, up to C{end}."""
        self.used = end - self.buffer
        self.count += 1
        if self.count == 1 or self.used >= FLUSH_SIZE:
            self.log.waits(self.used)
        return 0

    cdef bytes today(self):
        """The time of day as the log spells it."""
        # By that of the kernel's last tick: it is some milliseconds late, and only seconds matter.
        cdef double now = clock_now(CLOCK_REALTIME_COARSE) if self.coarse else self.log.wall()
        cdef long second = <long>now
        if second != self.second:
            self.second = second
            self.date = self.log.spell(second)
        return self.date


cdef int BUCKET_COUNT = len(_buckets)
cdef double END[MOST_BUCKETS]
cdef int _i
if BUCKET_COUNT > MOST_BUCKETS:
    raise ImportError("more buckets than there is room for")
for _i in range(BUCKET_COUNT):
    END[_i] = _buckets[_i]


cdef inline int bucket(double seconds) noexcept nogil:
    cdef int i = 0
    while i < BUCKET_COUNT and END[i] < seconds:
        i += 1
    return i


cdef class FastCounters:
    """Counts of one route, which C{settle} adds to the C{RouteCounters} that others read.

    C{dirty} is a list of those that have something to settle.
    """

    def __init__(self, pool, counters, list dirty):
        self.pool = pool
        self.counters = counters
        self.dirty = dirty

    cdef int count(
        self, int status, Py_ssize_t sent, Py_ssize_t received, double seconds
    ) except -1:
        """One answer: bytes of body each way, and the time that it took."""
        self.seconds += seconds
        self.buckets[bucket(seconds)] += 1
        return self.add(status, sent, received)

    cdef int count_streamed(
        self, int status, long long sent, long long received, double first, double last
    ) except -1:
        """The same of one whose first byte was written before its last."""
        self.first_seconds += first
        self.last_seconds += last
        self.first_buckets[bucket(first)] += 1
        self.last_buckets[bucket(last)] += 1
        return self.add(status, sent, received)

    cdef int add(self, int status, long long sent, long long received) except -1:
        cdef int i
        if self.requests == 0:
            self.dirty.append(self)
        self.requests += 1
        self.sent += sent
        self.received += received
        for i in range(MOST_STATUSES):
            if self.status[i] == status:
                self.status_count[i] += 1
                return 0
            if self.status[i] == 0:
                self.status[i] = status
                self.status_count[i] = 1
                return 0
        self.counters.of(self.pool).statuses[status] += 1
        return 0

    cpdef settle(self):
        """Add all to the counters, and begin anew."""
        cdef int i
        counters = self.counters.of(self.pool)
        counters.sent += self.sent
        counters.received += self.received
        for i in range(MOST_STATUSES):
            if self.status_count[i]:
                counters.statuses[self.status[i]] += self.status_count[i]
                self.status_count[i] = 0
        # Mostly the whole answer is written at once: its first byte is its last.
        first, last = counters.first_byte, counters.last_byte
        first.total += self.seconds + self.first_seconds
        last.total += self.seconds + self.last_seconds
        for i in range(BUCKET_COUNT + 1):
            first.counts[i] += self.buckets[i] + self.first_buckets[i]
            last.counts[i] += self.buckets[i] + self.last_buckets[i]
            self.buckets[i] = self.first_buckets[i] = self.last_buckets[i] = 0
        self.requests = self.sent = self.received = 0
        self.seconds = self.first_seconds = self.last_seconds = 0.0
