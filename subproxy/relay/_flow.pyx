# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""See `subproxy.relay.flow`, which has the same in Python."""

from libc.errno cimport EAGAIN, EINTR, errno

cdef extern from "fcntl.h" nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    """
    Py_ssize_t splice(int, void *, int, void *, size_t, unsigned)
    unsigned SPLICE_F_MOVE, SPLICE_F_NONBLOCK

cdef enum:
    SPENT = 0
    EMPTY = 1
    FULL = 2
    DONE = 3
    ENDED = 4
    BROKEN = 5


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
