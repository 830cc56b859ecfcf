# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""A body between a client's socket and a data connection, without a call into Python on its way.

What both directions have in common: the token, the data connection that has claimed it, the flow and its
pipe; and that all of these are given to the Python path as soon as anything is not plain, in the middle
of whatever it is (C{subproxy.fastpath.body_fallback}).

The same in Python: C{subproxy.subscription.bodies.transfer} and
C{subproxy.subscription.bodies.response_transfer} (see C{subproxy.fastpath.twins}).
"""

from libc.stdint cimport int64_t

from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._claim_watch cimport BodyClaim, ClaimWatch
from subproxy.fastpath._client_sink cimport ClientSink
from subproxy.fastpath._fallback cimport ReplaceableConnection
from subproxy.relay._flow cimport Flow, SpliceScheduler

from subproxy.relay.splice import FILL


cdef object take_pipe(pipes):
    """C{pipes.take()}."""
    cdef list idle = pipes.idle
    if not idle:
        return pipes.take()
    pipes.out += 1
    return idle.pop()


cdef int give_pipe(pipes, pipe) except -1:
    """C{pipes.give(pipe)}, of one that is empty."""
    if not pipe.large:
        pipes.give(pipe)
        return 0
    pipes.out -= 1
    (<list>pipes.idle).append(pipe)
    return 0


cdef class FastBody(BodyClaim):
    """One body of one client's connection."""

    cdef int splice(self, int source, int sink, int64_t left, long long window=-1) except -1:
        """Move C{left} bytes from one descriptor to the other, one of them that of C{watch}.

        @param window: what the sink takes at once, if it was asked just now.
        """
        cdef ClaimWatch watch = self.watch
        cdef SpliceScheduler rounds = watch.rounds
        cdef Flow flow
        try:
            pipe = take_pipe(self.channel.pipes)
        except OSError:
            return self.front.to_slow()
        flow = Flow.__new__(Flow)
        flow.source = source
        flow.sink = sink
        flow.entry = pipe.writing
        flow.exit = pipe.reading
        flow.size = FILL
        flow.left = left
        flow.user = self
        if window >= 0:
            flow.asked = True
            flow.window = window
        if source == watch.fd:
            flow.reads = True
        else:
            flow.writes = True
            flow.kind = watch.kind
            flow.buffer = watch.buffer
        self.pipe = pipe
        self.flow = flow
        rounds.waiting[watch.fd] = flow
        if rounds.turning:
            rounds.enqueue(flow)
        else:
            self.channel.pump.enqueue(flow)
        return 0

    cdef int flow_failed(self) except -1:
        return self.front.to_slow()

    cdef int flow_over(self) except -1:
        """Nothing is watched for the flow any more."""
        cdef Flow flow = self.flow
        cdef ClaimWatch watch = self.watch
        self.flow = None
        flow.user = None
        if flow.sink == watch.fd:
            watch.kind = flow.kind
            watch.buffer = flow.buffer
        watch.rounds.waiting[watch.fd] = watch
        watch.watching = False
        if flow.reads and flow.source != watch.fd:
            watch.rounds.remove(flow.source)
        if flow.writes and flow.sink != watch.fd:
            watch.rounds.remove(flow.sink)
        flow.reads = flow.writes = False
        return 0

    cdef int carried(self) except -1:
        """All of it has been moved: the data connection may carry the next one."""
        cdef ClaimWatch watch
        if self.flow is not None:
            self.flow_over()
            # All of it went: it is empty.
            give_pipe(self.channel.pipes, self.pipe)
            self.pipe = None
        watch = self.watch
        self.watch = None
        return watch.carried()

    @property
    def stalled(self):
        """Whether it waits: for its client, its guest, or a claim."""
        return self.flow is None or self.flow.full

    cdef object to_python(self):
        self.front.to_slow()
        return self.transfer

    def part(self):
        """Give up what carries the body: its data connection, its flow and that one's pipe."""
        cdef ClaimWatch watch = self.watch
        cdef Flow flow = self.flow
        pipe, self.pipe = self.pipe, None
        if watch is None:
            return None, None, None
        if flow is not None:
            self.flow_over()
        self.sink.wait_for_room(None)
        connection = watch.connection
        watch.body = None
        self.watch = None
        return connection, flow, pipe

    def given_to(self, transfer):
        """C{transfer} goes on with it."""
        self.transfer = transfer
        self.front = None
        self.channel = None
        self.sink = None
