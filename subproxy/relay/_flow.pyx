# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""See `subproxy.relay.flow`, which has the same in Python."""

from libc.errno cimport EAGAIN, EINTR, errno

from subproxy.reactor._ring cimport Ring

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
        epoll_data_t data
    int epoll_wait(int, epoll_event *, int, int)

cdef enum:
    SPENT = 0
    EMPTY = 1
    FULL = 2
    DONE = 3
    ENDED = 4
    BROKEN = 5

    ALONE = 64 * 1024 * 1024  # bytes to move at once if nobody else waits: some ten milliseconds
    MOST_EVENTS = 64
    MUCH = 64 * 1024  # bytes that came at once: the sender is quick, and has more in no time
    LINGER = 10_000  # nanoseconds to look for that: a turn of the reactor, or a sleep, takes more


cdef long long now() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return t.tv_sec * 1_000_000_000LL + t.tv_nsec


cdef class Others:
    """Whoever else waits, when a relay has done what one turn of the reactor allows."""

    cdef Ring ring
    cdef object poller, relays  # held, so that their descriptors stay what they are
    cdef int poller_fd, relays_fd, bell
    cdef int found
    cdef epoll_event events[MOST_EVENTS]
    cdef readonly long long most
    cdef public double until

    def __init__(self, Ring ring, poller, relays, int bell, long long most=ALONE):
        self.most = most
        self.ring = ring
        self.poller = poller
        self.relays = relays
        self.poller_fd = poller.fileno()
        self.relays_fd = relays.fileno()
        self.bell = bell

    def wait(self):
        """Whether anybody does."""
        return self.begin() or self.waits()

    def ready(self):
        """Descriptors of relays that were found ready, and will not be again."""
        cdef int i
        cdef list ready = []
        for i in range(self.found):
            if self.events[i].data.fd != self.bell:
                ready.append(self.events[i].data.fd)
        self.found = 0
        return ready

    cdef bint begin(self):
        """What can be seen only by who has the lock of the interpreter, and changes under it alone."""
        return (
            self.found > 0
            or self.poller.closed
            or self.relays.closed
            or (self.ring is not None and self.ring.pending)
        )

    cdef bint waits(self) noexcept nogil:
        cdef epoll_event events[2]
        cdef int i
        if now() * 1e-9 >= self.until or (self.ring is not None and self.ring.waits()):
            return True
        for i in range(epoll_wait(self.poller_fd, events, 2, 0)):
            if events[i].data.fd != self.relays_fd:
                return True
        self.found = max(0, epoll_wait(self.relays_fd, self.events, MOST_EVENTS, 0))
        if self.found == 0 or (self.found == 1 and self.events[0].data.fd == self.bell):
            self.found = 0
            return False
        return True


cdef class Flow:
    """The bytes of one relay."""

    cdef public int source, sink, entry, exit
    cdef public long long size, held, left, taken, given

    def __init__(self, int source, int sink, int entry, int exit, long long size, long long length):
        self.source = source
        self.sink = sink
        self.entry = entry
        self.exit = exit
        self.size = size
        self.left = length

    def move(self, long long budget, Others others=None):
        """Move about `budget` bytes, at most a pipe more: why it stopped, an `Outcome`.

        If there are `others`, then so many again, and again, as long as they don't wait.
        """
        cdef int outcome
        if others is not None and others.begin():
            others = None
        with nogil:
            outcome = self._move(budget, others)
        return outcome

    cdef int _move(self, long long budget, Others others) noexcept nogil:
        cdef Py_ssize_t got, put
        cdef long long want, moved = 0, until = 0, turn = budget
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
                moved += put
            if not self.held:
                if not self.left:
                    return DONE
                if ended:
                    return ENDED
                if empty and not got:
                    if moved < MUCH:
                        return EMPTY
                    if not until:
                        until = now() + LINGER
                    elif now() > until:
                        return EMPTY
                    continue
            if got > 0:
                until = 0
            if budget <= 0:
                if others is None or moved >= others.most or others.waits():
                    return SPENT
                budget = turn
