# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""See `subproxy.relay.flow` and `subproxy.relay.rounds`, which have the same in Python."""

from collections import deque

from libc.errno cimport EAGAIN, EINTR, errno

cdef extern from "fcntl.h" nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    """
    Py_ssize_t splice(int, void *, int, void *, size_t, unsigned)
    unsigned SPLICE_F_MOVE, SPLICE_F_NONBLOCK

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int clock_gettime(int, timespec *)

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        int fd
    struct epoll_event:
        unsigned events
        epoll_data_t data
    int EPOLL_CTL_MOD, EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLONESHOT
    int epoll_ctl(int, int, int, epoll_event *)
    int epoll_wait(int, epoll_event *, int, int)

cdef enum:
    LOOKS = 3
    MOST_EVENTS = 64
    SAID = 4 << 20

    SPENT = 0
    EMPTY = 1
    FULL = 2
    DONE = 3
    ENDED = 4
    BROKEN = 5


cdef class Flow:
    """The bytes of one relay."""

    cdef public int source, sink, entry, exit
    cdef public long long size, held, left, taken, given, said
    cdef public bint queued, held_back, full, reads, writes
    cdef public object relay

    def __init__(self, int source, int sink, int entry, int exit, long long size, long long length):
        self.source = source
        self.sink = sink
        self.entry = entry
        self.exit = exit
        self.size = size
        self.left = length

    def move(self, long long budget):
        """Move about `budget` bytes, at most a pipe more: why it stopped, an `Outcome`."""
        cdef int outcome
        with nogil:
            outcome = self._move(budget)
        return outcome

    cdef int _move(self, long long budget) noexcept nogil:
        cdef Py_ssize_t got, put
        cdef long long want
        cdef bint ended = False, empty
        cdef unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK
        while True:
            got = 0
            empty = not self.held  # (EAGAIN may mean that the pipe has no slot free)
            want = min(self.left, self.size - self.held)
            if want and not ended:
                got = splice(self.source, NULL, self.entry, NULL, <size_t>want, flags)
                if got > 0:
                    self.held += got
                    self.left -= got
                    self.taken += got
                elif got == 0:
                    ended = True
                elif errno == EINTR:
                    continue
                else:
                    ended = errno != EAGAIN
                    got = 0
            if self.held:
                put = splice(self.exit, NULL, self.sink, NULL, <size_t>self.held, flags)
                if put < 0:
                    if errno == EINTR:
                        continue
                    return FULL if errno == EAGAIN else BROKEN
                self.held -= put
                self.given += put
                budget -= put
            if not self.held:
                if not self.left:
                    return DONE
                if ended:
                    return ENDED
                if empty and not got:
                    return EMPTY
            if budget <= 0:
                return SPENT


cdef double now() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return t.tv_sec + t.tv_nsec * 1e-9


cdef class Rounds:
    """Who has its turn."""

    cdef readonly object queue
    cdef readonly dict waiting
    cdef readonly list resting
    cdef public long long turn, step
    cdef long long most, moved
    cdef object poller, others, ring, everybody  # held, so that their descriptors stay what they are
    cdef int fd, everybody_fd
    cdef epoll_event events[MOST_EVENTS]

    def __init__(self, poller, others, long long turn, long long step, long long most):
        self.turn = turn
        self.step = step
        self.queue = deque()
        self.waiting = {}
        self.resting = []
        self.poller = poller
        self.fd = poller.fileno()
        self.others = others
        if others is not None:
            self.ring = others.ring
            self.everybody = others.poller
            self.everybody_fd = others.poller.fileno()
        self.most = most

    cpdef enqueue(self, Flow flow):
        """`flow` may have something to move."""
        if not flow.queued:
            flow.queued = True
            self.queue.append(flow)

    def begin(self):
        """A turn of the reactor begins."""
        self.moved = 0
        self.resting = []

    def run(self, double due):
        """Rounds, until one of them ends with something to tell, or it is time for others."""
        cdef long long moved
        cdef int looks = 0, i, n
        cdef list told = []
        cdef object flow
        while True:
            n = epoll_wait(self.fd, self.events, MOST_EVENTS, 0)
            for i in range(n):
                flow = self.waiting.get(self.events[i].data.fd)
                if flow is not None:
                    self.enqueue(<Flow>flow)
            moved = self.round(told)
            self.moved += moved
            looks = 0 if moved else looks + 1
            if (
                told
                or self.others is None
                or looks > (LOOKS if self.moved else 0)
                or self.moved >= self.most
                or self.wait(due)
            ):
                return told

    @property
    def over(self):
        """Whether as much has been moved as may be in a turn of the reactor."""
        return self.moved >= (self.turn if self.others is None else self.most)

    cdef int arm(self, int fd, unsigned events) except -1:
        cdef epoll_event event
        event.events = events | EPOLLONESHOT
        event.data.fd = fd
        if epoll_ctl(self.fd, EPOLL_CTL_MOD, fd, &event):
            raise OSError(errno, "epoll_ctl")
        return 0

    cdef bint wait(self, double due) except -1:
        """See `subproxy.relay.others`."""
        cdef epoll_event events[2]
        cdef int i
        if (self.ring is not None and self.ring.pending) or now() >= due:
            return True
        for i in range(epoll_wait(self.everybody_fd, events, 2, 0)):
            if events[i].data.fd != self.fd:
                return True
        return False

    cdef long long round(self, list told) except -1:
        cdef Flow flow
        cdef object queue = self.queue
        cdef long long left = self.turn, before, budget
        cdef int outcome
        while left > 0 and queue:
            flow = queue.popleft()
            flow.queued = False
            if flow.held_back:
                continue
            before = flow.given
            budget = min(self.step, left) if queue else left
            with nogil:
                outcome = flow._move(budget)
            left -= flow.given - before
            flow.full = outcome == FULL
            if outcome == SPENT:
                self.enqueue(flow)
                if flow.given - flow.said >= SAID:
                    told.append((flow, outcome))
            elif outcome == EMPTY and flow.reads:
                self.arm(flow.source, EPOLLIN | EPOLLRDHUP)
                self.resting.append(flow)
            elif flow.full and flow.writes:
                self.arm(flow.sink, EPOLLOUT)
                self.resting.append(flow)
            else:
                told.append((flow, outcome))
        return self.turn - left
