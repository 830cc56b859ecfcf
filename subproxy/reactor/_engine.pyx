# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""What moves the bytes of streams: the interface that a ring and epoll share.

A *handle* (stream, acceptor, relay) asks for operations, and is told by C{complete} how each ended:
a result as the system call has it, an error number below zero, and flags as a ring's completions
have them. Which system calls that takes, and when, is the engine's.

A turn of the reactor is one call of L{Engine.wait}: what the handles have to do is *settled*, that
is, turned into operations; the engine waits, and completions are told to their handles.

* **Handles.** One with operations under way is in a list of its engine, and the list counts as one
  reference. So a completion always finds its handle alive.
* **Silent operations** (C{send_silent}) are heard of only when they did not do all they were asked
  to. That they have is told by C{TAG_FINISHED}, or by the call itself.
* **Forks.** What an engine has of the kernel's is made by its first turn. A child finds one that
  is not its own, forgets it and makes another (C{live}, C{abandon}).
"""

from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

from subproxy.reactor._log_context cimport LogContext
from subproxy.reactor._uapi cimport UR_LATE, ur_now

import time

from subproxy.reactor import _log_context as _context

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef extern from "sys/socket.h" nogil:
    struct sockaddr:
        pass
    int getpeername(int, sockaddr *, unsigned *)


cdef class Handle:
    """What has operations in an engine: the base of streams and acceptors."""

    cdef int complete(self, int tag, int res, uint32_t flags) except -1:
        """One completion: C{res} and C{flags} are the kernel's."""
        return 0

    cdef int settle(self) except -1:
        """Ask for what is to be done before the reactor sleeps."""
        self.queued = False
        return 0

    cdef int orphan(self) except -1:
        """The engine is made anew, and every operation is gone: queue them anew."""
        return 0

    cdef int parted(self, Handle other) except -1:
        """Another handle, whose descriptor this one uses, gives it up."""
        return 0


cdef class Engine:
    """One way to move bytes.

    C{epoll_fd} is watched, and C{on_epoll} called with no arguments when it is readable.
    Nothing is asked of the kernel before the first turn.
    """

    def __cinit__(self, int epoll_fd, on_epoll, **sizes):
        self.epoll_fd = epoll_fd
        self.on_epoll = on_epoll
        self.todo = []
        self.context = LogContext()
        self.context_entry = {_context.KEY: self.context}

    # -- set-up -------------------------------------------------------------

    cdef bint live(self) noexcept:
        """Is there something of the kernel's, made by this process, and usable by this thread?"""
        return False

    cdef int open(self) except -1:
        """Make it.

        @raise OSError: the kernel refuses.
        """
        return 0

    cdef int abandon(self) except -1:
        """Let go of it; what was under way is queued anew by its handle."""
        return 0

    cdef int forsake(self) except -1:
        """Tell all handles that their operations are gone."""
        cdef Handle handle
        while self.first != NULL:
            handle = <Handle>self.first
            handle.ops = 0
            self.unlink(handle)
            handle.orphan()
        return 0

    def begin(self):
        """A main loop begins: until C{end} every turn is followed by another.

        @raise OSError: the kernel refuses what is needed.
        """
        if not self.live():
            self.open()
        self.looping = True
        self.contexts = _context.contexts()

    def end(self):
        """The main loop is over: what is queued is submitted, for it may not run again."""
        self.looping = False
        self.contexts = None
        if self.live():
            self.flush()
            self.release()

    cdef int release(self) except -1:
        """No turn is sure to follow: give up what belongs to this thread."""
        return 0

    def close(self):
        """Give everything back to the kernel; the next turn begins anew."""
        self.abandon()

    # -- the turn -----------------------------------------------------------

    cdef int settle(self) except -1:
        """Have every queued handle ask for what it wants."""
        cdef list todo
        cdef Handle handle
        cdef Py_ssize_t i
        cdef int rounds
        # Settling may call Python, which may queue more: that goes out with
        # this turn too, but a handle that queues itself for ever may not keep
        # the reactor here.
        for rounds in range(2):
            if not self.todo:
                break
            todo = self.todo
            self.todo = []
            i = 0
            try:
                for handle in todo:
                    i += 1
                    handle.settle()
            except BaseException:
                # The engine has failed, not a handle; the others are not forgotten.
                self.todo = todo[i:] + self.todo
                raise
        return 0

    def wait(self, timeout):
        """One turn: submit, wait at most C{timeout} seconds, tell completions.

        None waits until something happens. Exceptions of the handles' owners
        do not come out of here; what does is a failure of the engine itself.
        """
        self.turn(-1.0 if timeout is None else max(0.0, timeout))

    def look_again(self):
        """The reactor stops, or has a timed call that is due earlier: C{run} returns."""
        self.stale = True

    def run(self, reactor):
        """Turns as C{EngineReactor.mainLoop} would have them, while it has nothing else to do.

        Compiled, because where requests come one at a time each is two turns, and the interpreter's
        part of them is not in the caches: what the reactor is asked for is looked up once, and
        C{EngineReactor} tells when it changes (C{look_again}). Returns when a timed call is due or
        new, or another thread has called, or the reactor stops, or a turn did not let other threads
        run.
        """
        cdef object seconds = reactor.seconds
        cdef bint monotonic = seconds is time.monotonic
        cdef list new = reactor._newTimedCalls
        cdef list called = reactor.threadCallQueue
        cdef list pending = reactor._pendingTimedCalls
        cdef double due = 0.0
        cdef double delay = -1.0  # no limit
        self.stale = False
        if reactor._justStopped or not reactor.running or not reactor._started:
            return
        cdef bint timed = bool(pending)
        if timed:
            due = <double>pending[0].time
        while True:
            PyErr_CheckSignals()
            if self.stale or PyList_GET_SIZE(new) or PyList_GET_SIZE(called):
                return
            if timed:
                if monotonic and 0.0 < self.alarm_at <= due + UR_LATE:
                    delay = -1.0  # it is what will end the wait
                else:
                    delay = due - (ur_now() if monotonic else <double>seconds())
                    if delay <= 0.0:
                        return
            if not self.turn(delay):
                return

    cdef bint turn(self, double timeout) except -1:
        """See C{wait}; below zero there is no limit. Returns whether it has waited, without the GIL."""
        cdef bint waited = False
        cdef list contexts = self.contexts if self.contexts is not None else _context.contexts()
        self.depth += 1
        self.turns += 1
        contexts.append(self.context_entry)
        try:
            self.called = False
            if self.live():
                self.drain()  # what a turn inside of a turn has left
            else:
                self.open()
                self.called = True
            self.settle()
            if self.called or self.todo or timeout == 0.0:
                self.look(0.0)
            else:
                waited = self.look(timeout)
            self.drain()
        finally:
            contexts.pop()
            self.context.owner = None
            self.depth -= 1
            if self.depth:
                self.stale = True
                self.called = True  # in the turn that this one was inside of
            if not self.looping and self.depth == 0 and self.live():
                self.flush()
        return waited

    cdef int look(self, double timeout) except -1:
        """Submit, and wait for something; below zero without limit, at zero not at all.

        Returns whether other threads could run meanwhile.
        """
        return 0

    cdef int flush(self) except -1:
        """Submit what is queued, without waiting."""
        return 0

    cdef int drain(self) except -1:
        """Tell every completion there is to its handle."""
        return 0

    cdef bint waits(self) except -1:
        """Whether the kernel has something to tell; the engine must be live."""
        return False

    @property
    def pending(self):
        """Whether a turn would have something to do at once, as far as can be told without it."""
        return not self.live() or bool(self.todo) or self.waits()

    def handles(self):
        """The handles that have operations under way, or are about to."""
        cdef PyObject *at = self.first
        found = []
        while at != NULL:
            found.append(<object>at)
            at = (<Handle>at).next
        found.extend(self.todo)
        return list(dict.fromkeys(found))

    cdef void link(self, Handle handle) noexcept:
        """The list of handles with operations: one reference each."""
        Py_INCREF(handle)
        handle.prev = NULL
        handle.next = self.first
        if self.first != NULL:
            (<Handle>self.first).prev = <PyObject *>handle
        self.first = <PyObject *>handle

    cdef void unlink(self, Handle handle) noexcept:
        """The caller holds a reference of its own."""
        if handle.prev != NULL:
            (<Handle>handle.prev).next = handle.next
        else:
            self.first = handle.next
        if handle.next != NULL:
            (<Handle>handle.next).prev = handle.prev
        handle.prev = handle.next = NULL
        Py_DECREF(handle)

    # -- operations ---------------------------------------------------------
    #
    # C{owner} is the handle to which the descriptor belongs, C{handle} is told of the completion.

    cdef bint receive(self, Handle handle, int fd, int most) except -1:
        """TAG_RECEIVE: bytes, as they come, in buffers of the engine's (C{take}).

        Until it is cancelled, or a completion says that there will be no more: after C{most} bytes,
        where there is such a limit. Returns whether there is.
        """
        raise NotImplementedError

    cdef int receive_into(self, Handle handle, Handle owner, int fd,
                          char *buffer, Py_ssize_t size) except -1:
        """TAG_RECEIVE: what there is, at once; EAGAIN if there is nothing."""
        raise NotImplementedError

    cdef int await_readable(self, Handle handle, Handle owner, int fd) except -1:
        """TAG_READY, once: there is something to be received from C{fd}, or its end."""
        raise NotImplementedError

    cdef int send(self, Handle handle, Handle owner, int fd,
                  const char *data, Py_ssize_t size, msghdr *header) except -1:
        """TAG_SEND: all of C{data}, or, if that is NULL, of what C{header} points to.

        It waits for room; and may complete with fewer bytes, or with EAGAIN, when there is some.
        """
        raise NotImplementedError

    cdef bint send_silent(self, Handle handle, int fd,
                          const char *data, Py_ssize_t size, msghdr *header) except -1:
        """TAG_SILENT, if not all is sent at once. Returns whether it is known already that all is;

        else TAG_FINISHED tells.
        """
        raise NotImplementedError

    cdef int accept(self, Handle handle, int fd, bint many) except -1:
        """TAG_ACCEPT: descriptors of connections, until cancelled, or one."""
        raise NotImplementedError

    cdef int peer_name(self, int fd, void *name, unsigned *size) noexcept:
        """C{getpeername} of a connection that was accepted."""
        return getpeername(fd, <sockaddr *>name, size)

    cdef int nudge(self, Handle handle) except -1:
        """TAG_FINISHED, in this turn."""
        raise NotImplementedError

    cdef int cancel(self, Handle handle, Handle owner, int tag) except -1:
        """End C{handle}'s operation of that tag: it completes with ECANCELED, if it still can."""
        raise NotImplementedError

    cdef int disown(self, Handle owner) except -1:
        """The descriptor, which stays somebody else's, is used no more; all was cancelled."""
        return 0

    cdef int close_fd(self, Handle owner, int fd) except -1:
        """Close a descriptor, behind all that is queued for it."""
        raise NotImplementedError

    cdef int park(self, Handle handle) except -1:
        """Settle the handle when there is a buffer again: it found none."""
        raise NotImplementedError

    cdef char *take(self, uint32_t flags) noexcept:
        """The buffer that a completion with these flags has filled."""
        return NULL

    cdef void recycle(self, char *buffer) noexcept:
        """Give a buffer back."""
