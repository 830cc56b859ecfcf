# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The body of a request, from the client to a data connection.

Plain are: a length, no C{Expect}, a guest that claims the token on a connection that is idle and answers when
it has the body.

The same in Python: C{subproxy.subscription.bodies.transfer},
C{subproxy.subscription.bodies.response_transfer} and
C{subproxy.frontend.request_body_reader} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t

from subproxy.fastpath._body_frames cimport end_with_length
from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._claim_watch cimport ClaimWatch
from subproxy.fastpath._fast_body cimport FastBody
from subproxy.reactor._stream cimport Stream
from subproxy.relay._flow cimport DONE, EMPTY, Flow

from subproxy.relay.socket_lease import lend_reading
from subproxy.subscription.bodies.data_connection_state import DataConnectionState

cdef extern from "sys/epoll.h" nogil:
    int EPOLLIN, EPOLLRDHUP

cdef extern from "sys/socket.h" nogil:
    int MSG_DONTWAIT, MSG_NOSIGNAL
    Py_ssize_t send(int, const void *, size_t, int)

cdef enum:
    LEAST_A_SWEEP = 65536  # bytes; who moves less has its pace looked at, which Python does

cdef object SENDING = DataConnectionState.SENDING


cdef class FastUpload(FastBody):
    """One body of one client's connection."""

    cdef int begin(self, FastChannel channel, uint64_t number, int64_t length) except -1:
        """Make its token."""
        self.channel = channel
        self.length = length
        self.moved = self.seen = 0
        self.quiet = self.reading = False
        self.identity = channel.identity
        self.exchange = number
        return channel.claims.issue(self)

    def hold(self, bytes data):
        """Hold what came with the head, and read no more."""
        cdef Stream stream = self.sink.stream
        self.came = data
        if stream is None:
            lend_reading(self.front.transport, self.stopped)
        else:
            stream.stopReading()
            stream.when_receive_stopped(self.stopped)

    def more(self, bytes data):
        """C{data} came although nothing was to be read any more."""
        self.came = self.came + data

    def stopped(self, bytes data):
        """Nothing is read any more; C{data} was, before that."""
        if self.protocol is not None:
            # The Python path has it by now, and that was still on its way here.
            protocol, self.protocol = self.protocol, None
            if data:
                protocol.dataReceived(data)
            return
        if self.front is None:
            return
        if data:
            self.came = self.came + data
        self.quiet = True
        if self.watch is not None:
            self.go_on()

    cdef int taken(self, ClaimWatch watch) except -1:
        watch.carry(self, SENDING, None)
        self.watch = watch
        return self.go_on() if self.quiet else 0

    cdef int go_on(self) except -1:
        """What came goes to the guest, and the rest past us."""
        cdef bytes came = self.came
        cdef Py_ssize_t size = PyBytes_GET_SIZE(came)
        cdef int fd = self.sink.plain()
        if fd < 0 or size >= self.length:
            return self.front.to_slow()
        if size:
            self.moved = max(
                0, send(self.watch.fd, PyBytes_AS_STRING(came), size, MSG_DONTWAIT | MSG_NOSIGNAL)
            )
            self.came = came[self.moved:]
            if self.moved < size:
                return self.front.to_slow()
        self.reading = True
        return self.splice(fd, self.watch.fd, self.length - size)

    cdef int flow_stopped(self, Flow flow, int outcome) except -1:
        if outcome == DONE:
            self.moved += flow.given
            self.channel.say(end_with_length(<uint64_t>self.exchange, self.length))
            self.carried()
            return self.front.upload_over()
        if outcome == EMPTY:
            self.watch.rounds.add(flow.source, EPOLLIN | EPOLLRDHUP, flow)
            flow.reads = True
            return 0
        # The end of the client, or of the guest, where it should not be: Python says what it means.
        return self.front.to_slow()

    cdef int sink_has_room(self) except -1:
        """Nobody waits for that."""

    cdef int sink_closed(self) except -1:
        """Nobody waits for that."""

    cdef bint slow(self) except -1:
        """Whether little has moved since the sweeper looked last."""
        cdef int64_t before = self.seen
        self.seen = 0 if self.flow is None else self.flow.taken
        return self.seen - before < LEAST_A_SWEEP

    def awaited_by(self, protocol):
        """What is still to come when nothing is read any more, C{protocol} is to be given."""
        if not self.quiet:
            self.protocol = protocol
