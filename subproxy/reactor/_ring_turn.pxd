# The turns of a ring. See _ring_turn.pyx.
from libc.stdint cimport uint32_t, uint64_t

from subproxy.reactor._ring cimport Ring
from subproxy.reactor._uapi cimport ur_timespec


cdef class RingLoop(Ring):
    # When we are woken at the latest: see alarm_at.
    cdef ur_timespec alarm_in
    # Looking for a moment before sleeping.
    cdef public double spin
    cdef int spin_pause
    cdef int spin_backoff

    cdef int sleep(self, double timeout) except? -1
    cdef double alarm(self, double seconds) except? -2.0
    cdef int dispatch(self, uint64_t user_data, int res, uint32_t flags) except -1
