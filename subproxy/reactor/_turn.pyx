# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""The turns of a ring.

A turn of the reactor is one call of L{RingLoop.wait}: what the handles have
to do is turned into submission entries (*settled*), one system call submits
them all and waits, and the completions are told to their handles.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uintptr_t

from subproxy.reactor._ring cimport TAG_ALARM, TAG_EPOLL, TAG_MASK, TAG_SILENT, Handle, Ring, enqueue
from subproxy.reactor._uapi cimport *

from subproxy.reactor import _log_context as _context

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef extern from "poll.h" nogil:
    int POLLIN

cdef enum:
    LEAST_ALARM = 2  # milliseconds; a shorter wait is told the system call


cdef class RingLoop(Ring):
    """A ring that is waited for: what a reactor has."""

    # -- the turn -----------------------------------------------------------

    cdef int settle(self) except -1:
        """Have every queued handle submit what it wants."""
        cdef list todo
        cdef Handle handle
        cdef Py_ssize_t i
        cdef int rounds
        if self.parked and self.held < self.buffers:
            todo = self.parked
            self.parked = []
            for handle in todo:
                enqueue(handle)
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
                # The ring has failed, not a handle; the others are not forgotten.
                self.todo = todo[i:] + self.todo
                raise
        return 0

    def wait(self, timeout):
        """One turn: submit, wait at most C{timeout} seconds, tell completions.

        None waits until something happens. Exceptions of the handles' owners
        do not come out of here; what does is a failure of the ring itself.
        """
        self.turn(-1.0 if timeout is None else max(0.0, timeout))

    def run(self, reactor):
        """Turns as C{IOUringReactor.mainLoop} would have them, while it has nothing else to do.

        Compiled, because where requests come one at a time each is two turns, and the interpreter's
        part of them is not in the caches. Returns when a timed call is due or new, or another
        thread has called, or the reactor stops, or a turn did not let other threads run.
        """
        cdef object seconds = reactor.seconds
        cdef list pending
        cdef double delay
        while True:
            PyErr_CheckSignals()
            if (
                reactor._newTimedCalls
                or reactor.threadCallQueue
                or reactor._justStopped
                or not reactor.running
                or not reactor._started
            ):
                return
            pending = reactor._pendingTimedCalls
            delay = -1.0
            if pending:
                delay = <double>pending[0].time - <double>seconds()
                if delay <= 0.0:
                    return
            if not self.turn(delay):
                return

    cdef bint turn(self, double timeout) except -1:
        """See C{wait}; below zero there is no limit. Returns whether it has waited, without the GIL."""
        cdef ur_sqe *entry
        cdef bint waited = False
        cdef list contexts = self.contexts if self.contexts is not None else _context.contexts()
        self.depth += 1
        contexts.append(self.context_entry)
        try:
            if self.silent_done and self.live():
                self.drain()  # called by who was called in a turn
            self.called = False
            self.settle()
            if not self.live():
                self.open()
                self.called = True
            if not self.polled:
                # One shot: with the descriptor left ready a multishot poll
                # would say nothing more.
                entry = self.sqe()
                entry.opcode = UR_OP_POLL_ADD
                entry.fd = self.epoll_fd
                entry.op_flags = POLLIN
                entry.user_data = TAG_EPOLL
                self.polled = True
            if self.called or self.todo or timeout == 0.0:
                self.enter(0, 0.0)
            else:
                if timeout > 0.0:
                    timeout = self.alarm(timeout)
                self.sleep(timeout)
                waited = True
            self.drain()
        finally:
            contexts.pop()
            self.context.owner = None
            self.depth -= 1
            if not self.looping and self.depth == 0 and self.live():
                self.flush()
        return waited

    @property
    def pending(self):
        """Whether a turn would have something to do at once, as far as can be told without it."""
        return not self.live() or bool(self.todo) or not self.polled or self.waits()

    cdef bint waits(self) noexcept nogil:
        """Whether the kernel has something to tell; the ring must be live."""
        return (
            self.cq_head[0] != ur_load_acquire(self.cq_tail)
            or ur_load_acquire(self.sq_flags) & (UR_SQ_TASKRUN | UR_SQ_CQ_OVERFLOW) != 0
        )

    def handles(self):
        """The handles that have operations in the kernel, or are about to."""
        cdef PyObject *at = self.first
        found = []
        while at != NULL:
            found.append(<object>at)
            at = (<Handle>at).next
        found.extend(self.todo)
        found.extend(self.parked)
        return list(dict.fromkeys(found))

    # -- completion ---------------------------------------------------------

    cdef int sleep(self, double timeout) except? -1:
        """Submit, and wait for something; with C{spin}, look for so many seconds first.

        Being woken costs tens of microseconds where the core is a virtual one. Looking in vain
        costs as much: so after each time in vain it is left out more often, until a sleep turns
        out to have been a short one.
        """
        cdef double begin, end
        cdef int i
        if self.spin <= 0.0:
            return self.enter(1, timeout)
        begin = ur_now()
        if self.spin_pause > 0:
            self.spin_pause -= 1
            self.enter(1, timeout)
            if ur_now() - begin < self.spin:
                self.spin_pause = self.spin_backoff = 0
            return 0
        self.enter(0, 0.0)
        end = begin + self.spin
        while True:
            if self.cq_head[0] != ur_load_acquire(self.cq_tail):
                self.spin_backoff = 0
                return 0
            if ur_load_acquire(self.sq_flags) & (UR_SQ_TASKRUN | UR_SQ_CQ_OVERFLOW):
                self.spin_backoff = 0
                return self.enter(0, 0.0)
            for i in range(20):
                ur_relax()
            if ur_now() >= end:
                break
        self.spin_backoff = min(2 * self.spin_backoff + 1, 127)
        self.spin_pause = self.spin_backoff
        if timeout >= 0.0:
            timeout = max(0.0, timeout - self.spin)
        return self.enter(1, timeout)

    cdef double alarm(self, double seconds) except? -2.0:
        """See that something completes in so many seconds; return what timeout is needed besides.

        A timeout of the system call is set and taken back by each, twice a request where they
        come one by one, and setting a timer is slow on a virtual machine. One that is in the ring
        stays there until it is over, or something earlier is waited for. It may wake us for
        nothing, once.
        """
        cdef double now, at
        cdef ur_sqe *entry
        if not 1e-3 * LEAST_ALARM <= seconds <= 1e6:
            return seconds
        now = ur_now()
        at = now + seconds
        if 0.0 < self.alarm_at <= at + 5e-5:
            return -1.0
        entry = self.sqe()
        entry.fd = -1
        self.alarm_in.tv_sec = <long>seconds
        self.alarm_in.tv_nsec = <long>((seconds - <double>self.alarm_in.tv_sec) * 1e9)
        if self.alarm_at == 0.0:
            entry.opcode = UR_OP_TIMEOUT
            entry.addr = <uintptr_t>&self.alarm_in
            entry.len = 1
            entry.user_data = TAG_ALARM
        else:
            # If it is over already, then its completion is there, and this fails unheard.
            entry.opcode = UR_OP_TIMEOUT_REMOVE
            entry.op_flags = UR_TIMEOUT_UPDATE
            entry.addr = TAG_ALARM
            entry.off = <uintptr_t>&self.alarm_in
            entry.flags = UR_SQE_CQE_SKIP_SUCCESS
        self.alarm_at = at
        self.alarms += 1
        return -1.0

    cdef int drain(self) except -1:
        """Tell every completion there is to its handle."""
        cdef uint32_t head
        cdef ur_cqe *entry
        cdef uint64_t user_data
        cdef int res
        cdef uint32_t flags
        while True:
            head = self.cq_head[0]
            if head == ur_load_acquire(self.cq_tail):
                if ur_load_acquire(self.sq_flags) & UR_SQ_CQ_OVERFLOW:
                    # The queue was full; the kernel kept the rest aside.
                    self.overflows += 1
                    self.flush()
                    if head != ur_load_acquire(self.cq_tail):
                        continue
                break
            entry = &self.cqes[head & self.cq_mask]
            user_data = entry.user_data
            res = entry.res
            flags = entry.flags
            # Copied and given back before anybody is called: who is called may
            # come here again.
            ur_store_release(self.cq_head, head + 1)
            self.completions += 1
            self.dispatch(user_data, res, flags)
            if not self.live():
                return 0  # closed by who was called
        self.finish_silent()
        return 0

    cdef int dispatch(self, uint64_t user_data, int res, uint32_t flags) except -1:
        cdef Handle handle
        cdef int tag = user_data & TAG_MASK
        if user_data <= TAG_MASK:
            if tag == TAG_EPOLL:
                self.polled = False
                self.on_epoll()
            elif tag == TAG_ALARM:
                self.alarm_at = 0.0
            return 0
        handle = <Handle><PyObject *><uintptr_t>(user_data & ~<uint64_t>TAG_MASK)
        if not flags & UR_CQE_F_MORE and tag != TAG_SILENT:
            handle.ops -= 1
            if handle.ops == 0:
                self.unlink(handle)
        handle.complete(tag, res, flags)
        return 0
