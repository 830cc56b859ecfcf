# The bytes of all relays, and who is told of them by compiled code. See _flow.pyx.
from libc.stdint cimport uint64_t

from subproxy.relay._byte_sink cimport RoomWaiter

cdef extern from "linux/tcp.h" nogil:
    struct tcp_info:
        unsigned char tcpi_state
        unsigned tcpi_snd_mss, tcpi_unacked, tcpi_snd_cwnd, tcpi_notsent_bytes, tcpi_snd_wnd
        uint64_t tcpi_bytes_acked


cdef inline long long window_left(const tcp_info *info) noexcept nogil:
    """How many bytes more a TCP connection may have under way, as its peer and congestion allow."""
    return min(
        <long long>info.tcpi_snd_wnd, <long long>info.tcpi_snd_cwnd * info.tcpi_snd_mss
    ) - (<long long>info.tcpi_unacked * info.tcpi_snd_mss + info.tcpi_notsent_bytes)


cdef enum FlowOutcome:
    # subproxy.relay.flow.Outcome
    SPENT = 0
    EMPTY = 1
    FULL = 2
    DONE = 3
    ENDED = 4
    BROKEN = 5


cdef class Watcher:
    # Who waits for a descriptor beside the flows.
    cdef int ready(self) except -1


cdef class FlowUser(RoomWaiter):
    # Whose a flow is, if that is compiled.
    cdef int flow_stopped(self, Flow flow, int outcome) except -1
    cdef int flow_failed(self) except -1


cdef class Flow:
    cdef public int source, sink, entry, exit
    cdef public long long size, held, left, taken, given
    cdef public bint queued, noted, held_back, full, reads, writes
    cdef public object relay
    cdef FlowUser user  # in the place of a relay
    cdef bint eager
    cdef int kind, buffer
    cdef bint asked  # its sink, TCP, was asked just now, and nothing has been sent since
    cdef long long window  # as its sink, TCP, said it, less what it was given since

    cdef int _move(self, long long budget, long long at_once) noexcept nogil
    cdef long long fill(self, long long at_once) noexcept nogil
    cdef long long room(self) noexcept nogil



cdef class SpliceScheduler:
    cdef readonly object queue
    cdef readonly dict waiting
    cdef readonly list noted
    cdef public long long turn, alone
    cdef public int crowd
    cdef public bint turning
    cdef long long most, moved
    cdef object poller, others, engine, everybody  # held, so that their descriptors stay what they are
    cdef object reactor, seconds
    cdef list ended  # of compiled users: flow and outcome, to be told when the round is over
    cdef int fd, everybody_fd

    cpdef enqueue(self, Flow flow)
    cdef int arm(self, int fd, unsigned events) except -1
    cdef int add(self, int fd, unsigned events, object who) except -1
    cdef int remove(self, int fd) except -1
    cdef bint wait(self) except -1
    cdef long long round(self, list told) except -1
    cdef bint tell(self) except -1
