# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""What all connections of one frontend share: its limits, clock, log and counts, and a place to write to."""

from libc.stdlib cimport free, realloc

import time

from subproxy.fastpath._bytes cimport clock_now, u8
from subproxy.fastpath._route_cache cimport RouteCache
from subproxy.fastpath._log_buffer cimport FastLogBuffer
from subproxy.fastpath._request_head cimport MOST_FIELDS
from subproxy.fastpath._client_info cimport ClientInfoCache
from subproxy.fastpath._slots cimport number, set_number, slot

from subproxy.core.http.request_id import RequestIds
from subproxy.subscription.turn_budget import TurnBudget

cdef Py_ssize_t IDS_LAST = slot(RequestIds, "last")

HTTP2_BUDGET = 0.0005
"""Seconds of a turn of the reactor that connections of HTTP/2 may take, together, whose clients send
more at once than one turn deals with."""

cdef extern from "time.h":
    int CLOCK_MONOTONIC

cdef extern from *:
    """
    #include <malloc.h>

    /* Bodies that ride in frames come and go. What they leave free at the end of the heap would go
       back to the system each time, and its pages be asked for, and cleared, anew. */
    static void keep_free_memory(void) {
    #ifdef __GLIBC__
        mallopt(M_MMAP_THRESHOLD, 1 << 20);
        mallopt(M_TRIM_THRESHOLD, 4 << 20);
    #endif
    }
    """
    void keep_free_memory()


cdef inline int widen(u8 **space, Py_ssize_t *have, Py_ssize_t size) except -1:
    """Let there be room for so many bytes; what was there before may be gone."""
    cdef u8 *larger
    if size > have[0]:
        larger = <u8 *>realloc(space[0], size + 65536)
        if larger == NULL:
            raise MemoryError
        space[0] = larger
        have[0] = size + 65536
    return 0


cdef class FastContext:
    """What of a C{FastHttp1Factory} the compiled path asks for, as C has it."""

    def __dealloc__(self):
        free(self.scratch)
        free(self.frames)

    def __init__(self, factory, log=None, counters=None):
        context = factory.context
        limits = context.limits
        keep_free_memory()
        if log is not None:
            self.lines = FastLogBuffer(log)
            log.waiting = self.lines
        self.factory = factory
        self.connections = context.connections.watched
        self.monotonic = context.monotonic
        self.real_time = context.monotonic is time.monotonic
        self.chooser = RouteCache(context.dispatcher, context.rules, counters, self.lines)
        self.clients = ClientInfoCache(context.forwarding)
        if counters is not None:
            counters.before.append((<object>self.chooser).settle)
        self.http2 = True
        self.turns = TurnBudget(context.clock, HTTP2_BUDGET)
        self.set_limits(limits)
        self.ids = context.rules.ids
        if type(self.ids) is not RequestIds:
            raise TypeError(f"{self.ids!r} is not exactly a RequestIds")
        self.traces = context.rules.traces
        self.prefix = self.ids.prefix + b"-"
        self.date = context.status.date
        self.draining = context.status.draining

    def set_limits(self, limits):
        """Serve by other limits from now on, as C{Http1Factory.set_limits} does."""
        self.bounds.target = min(limits.target, MOST_HEAD)
        self.bounds.head = min(limits.head, MOST_HEAD)
        self.bounds.fields = min(limits.fields, MOST_FIELDS)
        self.most_requests = limits.requests
        self.most_connections = limits.connections
        self.keepalive_timeout = limits.keepalive_timeout
        self.look_early = 0.0
        if limits.body_rate:
            self.look_early = max(0.0, limits.keepalive_timeout - limits.body_grace)
        self.header_timeout = limits.header_timeout
        self.response_timeout = limits.response_timeout
        self.tunnel_idle = limits.tunnel_idle
        self.most_body = limits.body
        self.most_inline = min(limits.inline, 65536, limits.body or 65536)

    def set_traces(self, traces):
        """Follow traces in another way from now on; C{None}: no more."""
        self.traces = traces

    def forget_clients(self):
        """What is told of clients has changed: those that connect from now on are looked at anew,
        and what those that are there say of others is read anew."""
        self.clients.forget()

    cdef double now(self) except? -1.0:
        if self.real_time:
            return clock_now(CLOCK_MONOTONIC)
        return self.monotonic()

    cdef long next_id(self) except -1:
        """The number of a new request."""
        cdef long last = number(self.ids, IDS_LAST) + 1
        set_number(self.ids, IDS_LAST, last)
        return last

    cdef u8 *frame_end(self, Py_ssize_t size) except NULL:
        """Return the end of space for a frame of at most C{size} bytes, until the next call."""
        widen(&self.frames, &self.frames_size, size)
        return self.frames + self.frames_size

    cdef u8 *room(self, Py_ssize_t size) except NULL:
        """Return scratch space of C{size} bytes, until the next call."""
        widen(&self.scratch, &self.scratch_size, size)
        return self.scratch
