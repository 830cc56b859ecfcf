# The turns of an engine by readiness. See _epoll_turn.pyx.
from libc.stdint cimport uint32_t

from subproxy.reactor._engine cimport Handle
from subproxy.reactor._epoll cimport Epoll, epoll_event


cdef class EpollLoop(Epoll):
    cdef readonly unsigned long events  # that were told

    cdef int ended(self, Handle owner, int res) except -1
    cdef int set_alarm(self, double seconds) except -1
    cdef int tell_fetched(self) except -1
    cdef int tell(self, epoll_event *events, int n) except -1
    cdef int ready(self, Handle owner, uint32_t events) except -1
    cdef int read_ready(self, Handle owner) except -1
    cdef int pull(self, Handle owner) except -1
    cdef int take_connections(self, Handle owner) except -1
