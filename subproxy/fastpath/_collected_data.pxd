# DATA frames of one body, as one piece. See _collected_data.pyx.
from libc.stdint cimport uint32_t

from subproxy.fastpath._bytes cimport u8

cdef enum:
    END_STREAM = 1
    MOST_COLLECTED = 131072  # bytes of one body that Python is given at a time


cdef class CollectedData:
    cdef uint32_t number  # of its stream
    cdef int flags  # of the last of the frames
    cdef Py_ssize_t size  # bytes that came
    cdef list piece  # one bytes object, with room behind them

    cdef bint takes(self, uint32_t number, uint32_t size) noexcept
    cdef int add(self, const u8 *p, uint32_t size, int flags, Py_ssize_t rest) except -1
    cdef bytes data(self)


cdef CollectedData collected_data(uint32_t number)
