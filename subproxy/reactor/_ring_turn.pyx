# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""The turns of a ring.

What the handles have to do is turned into submission entries, one system call
submits them all and waits, and the completions are told to their handles.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uintptr_t

from subproxy.reactor._engine cimport (
    TAG_ALARM, TAG_EPOLL, TAG_MASK, TAG_SILENT, Engine, Handle, enqueue,
)
from subproxy.reactor._ring cimport Ring
from subproxy.reactor._uapi cimport *

cdef extern from "poll.h" nogil:
    int POLLIN

cdef enum:
    LEAST_ALARM = 2  # milliseconds; a shorter wait is told the system call


cdef class RingLoop(Ring):
    """A ring that is waited for: what a reactor has."""

    # -- the turn -----------------------------------------------------------

    cdef int settle(self) except -1:
        cdef list todo
        cdef Handle handle
        if self.parked and self.held < self.buffers:
            todo = self.parked
            self.parked = []
            for handle in todo:
                enqueue(handle)
        return Engine.settle(self)

    cdef int look(self, double timeout) except -1:
        cdef ur_sqe *entry
        if not self.polled:
            # One shot: with the descriptor left ready a multishot poll
            # would say nothing more.
            entry = self.sqe()
            entry.opcode = UR_OP_POLL_ADD
            entry.fd = self.epoll_fd
            entry.op_flags = POLLIN
            entry.user_data = TAG_EPOLL
            self.polled = True
        if timeout == 0.0:
            self.enter(0, 0.0)
            return 0
        if timeout > 0.0:
            timeout = self.alarm(timeout)
        self.sleep(timeout)
        return 1

    cdef bint waits(self) except -1:
        return not self.polled or (
            self.cq_head[0] != ur_load_acquire(self.cq_tail)
            or ur_load_acquire(self.sq_flags) & (UR_SQ_TASKRUN | UR_SQ_CQ_OVERFLOW) != 0
        )

    def handles(self):
        return list(dict.fromkeys(super().handles() + self.parked))

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
        if 0.0 < self.alarm_at <= at + UR_LATE:
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
