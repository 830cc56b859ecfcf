# cython: language_level=3, binding=False
"""A descriptor of somebody else's that the reactor watches itself, with nothing of Twisted in between.

What is on the reactor's epoll descriptor costs two system calls and a dozen calls in Python each
time it is ready. One shot at a time, so that it is level-triggered.
"""

from libc.stdint cimport uint32_t

from subproxy.reactor._engine cimport TAG_READY, Engine, Handle, calls, enqueue

from twisted.python import log


cdef class PollHandle(Handle):
    """C{ready()} is called in every turn in which C{fd} is readable, until C{stop}."""

    cdef int fd
    cdef object ready
    cdef object name
    cdef bint armed
    cdef bint wanted
    cdef bint nudged

    def __init__(self, Engine engine, int fd, ready, name):
        self.engine = engine
        self.fd = fd
        self.ready = ready
        self.name = name
        enqueue(self)

    def logPrefix(self):
        return self.name

    def reader(self):
        return None

    def writer(self):
        return None

    def again(self):
        """Call in the next turn, whether there is something to read or not."""
        self.wanted = True
        if self.fd >= 0:
            enqueue(self)

    def stop(self):
        """Call no more; the descriptor may be closed then. May be called again."""
        if self.fd >= 0:
            self.fd = -1
            self.ready = None
            if self.engine.live():
                if self.armed:
                    self.engine.cancel(self, self, TAG_READY)
                self.engine.disown(self)

    cdef int settle(self) except -1:
        self.queued = False
        if self.fd < 0 or self.nudged:
            return 0
        if self.wanted:
            self.wanted = False
            self.nudged = True
            self.engine.nudge(self)
        elif not self.armed:
            self.armed = True
            self.engine.await_readable(self, self, self.fd)
        return 0

    cdef int complete(self, int tag, int res, uint32_t flags) except -1:
        if tag == TAG_READY:
            self.armed = False
        else:
            self.nudged = False
        if self.fd < 0:
            return 0
        calls(self)
        try:
            self.ready()
        except BaseException:
            log.err()
        # (Not before: who waits in the engine's list has its turn before we go on.)
        if self.fd >= 0:
            enqueue(self)
        return 0

    cdef int orphan(self) except -1:
        self.armed = self.nudged = False
        if self.fd >= 0:
            enqueue(self)
        return 0
