# cython: language_level=3, binding=False
"""A trial of a ring: does this kernel do what the reactor asks of it?"""

from libc.stdint cimport uint32_t, uintptr_t
from posix.unistd cimport close

from subproxy.reactor._engine cimport TAG_ACCEPT, TAG_RECEIVE, TAG_SILENT, Handle, enqueue
from subproxy.reactor._ring cimport Ring
from subproxy.reactor._ring_turn cimport RingLoop
from subproxy.reactor._uapi cimport *

import os
import select
import socket

cdef extern from "sys/socket.h" nogil:
    int MSG_DONTWAIT, MSG_NOSIGNAL, MSG_WAITALL, SOCK_CLOEXEC


cdef class Probe(Handle):
    """One operation of each kind, and what came of them."""

    cdef Ring ring
    cdef int reader
    cdef int writer
    cdef int listener
    cdef bint armed
    cdef bint ended
    cdef public int received
    cdef public int accepted
    cdef public int failed

    def __init__(self, Ring ring, int reader, int writer, int listener):
        self.engine = self.ring = ring
        self.reader = reader
        self.writer = writer
        self.listener = listener

    def again(self):
        enqueue(self)

    def cancel(self):
        self.ended = True
        enqueue(self)

    cdef int settle(self) except -1:
        cdef ur_sqe *entry
        self.queued = False
        if self.ended:
            self.ring.cancel(self, self, TAG_RECEIVE)
            self.ring.cancel(self, self, TAG_ACCEPT)
            return 0
        if not self.armed:
            self.armed = True
            entry = self.ring.prepare(self, TAG_RECEIVE, UR_OP_RECV, self.reader)
            entry.flags = UR_SQE_BUFFER_SELECT
            entry.ioprio = UR_RECV_MULTISHOT
            entry = self.ring.prepare(self, TAG_ACCEPT, UR_OP_ACCEPT, self.listener)
            entry.ioprio = UR_ACCEPT_MULTISHOT
            entry.op_flags = SOCK_CLOEXEC
        entry = self.ring.prepare_silent(self, TAG_SILENT, UR_OP_SEND, self.writer)
        entry.addr = <uintptr_t><char *>b"?"
        entry.len = 1
        entry.op_flags = MSG_WAITALL | MSG_NOSIGNAL | MSG_DONTWAIT
        return 0

    cdef int complete(self, int tag, int res, uint32_t flags) except -1:
        if tag == TAG_RECEIVE and flags & UR_CQE_F_BUFFER:
            self.ring.recycle(self.ring.take(flags))
        if tag == TAG_ACCEPT and res >= 0:
            close(res)
        if res < 0 and res != -ECANCELED:
            self.failed = -res
        elif tag == TAG_RECEIVE and res > 0 and flags & UR_CQE_F_MORE:
            self.received += 1
        elif tag == TAG_ACCEPT and flags & UR_CQE_F_MORE:
            self.accepted += 1
        return 0

    @property
    def operations(self):
        return self.ops


def trial():
    """Make a small ring and use it as the reactor does.

    @raise OSError: what the kernel said to the ring, or to an operation.
    """
    reader, writer = socket.socketpair()
    listener = socket.socket(socket.AF_UNIX)
    client = socket.socket(socket.AF_UNIX)
    epoll = select.epoll()
    ring = RingLoop(epoll.fileno(), None, entries=8, completions=16, buffers=2, size=64)
    try:
        listener.bind("")
        listener.listen()
        probe = Probe(ring, reader.fileno(), writer.fileno(), listener.fileno())
        probe.again()
        ring.wait(0)
        client.connect(listener.getsockname())
        probe.again()
        for _ in range(10):
            if probe.failed or (probe.received == 2 and probe.accepted == 1):
                break
            ring.wait(0.1)
        if probe.failed:
            raise OSError(probe.failed, os.strerror(probe.failed))
        if probe.received < 2 or probe.accepted < 1:
            raise OSError(95, "multishot operations do not work")
        probe.cancel()
        for _ in range(10):
            if not probe.operations:
                break
            ring.wait(0.1)
        else:
            raise OSError(95, "cancelling does not work")
    finally:
        ring.close()
        for each in (reader, writer, listener, client, epoll):
            each.close()
