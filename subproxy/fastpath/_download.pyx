# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The body of an answer, from a data connection to the client.

Plain are: a length that was told in the head, an idle data connection that claims the token, a client's
socket that can be lent, and an C{end} without trailers.

The same in Python: C{subproxy.subscription.bodies.transfer} and
C{subproxy.subscription.bodies.response_transfer} (see C{subproxy.fastpath.twins}).
"""

from libc.stdint cimport int64_t, uint64_t

from subproxy.fastpath._body_frames cimport connect_frame
from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._claim_watch cimport ClaimWatch
from subproxy.fastpath._fast_body cimport FastBody
from subproxy.fastpath._response cimport Answer
from subproxy.relay._flow cimport DONE, FULL, Flow

from subproxy.subscription.bodies.data_connection_state import DataConnectionState
from subproxy.subscription.close_reason import GuestCloseReason

cdef extern from "sys/epoll.h" nogil:
    int EPOLLOUT

cdef object HELD = DataConnectionState.HELD
cdef object RECEIVING = DataConnectionState.RECEIVING
cdef object EXCHANGE_OVER = GuestCloseReason.EXCHANGE_OVER


cdef class FastDownload(FastBody):
    """One body of one client's connection."""

    cdef int expect(self, FastChannel channel, uint64_t number) except -1:
        """Make its token, which is to go with its request."""
        self.channel = channel
        self.identity = channel.identity
        self.exchange = number
        self.expected = True
        return channel.claims.issue(self, False)

    cdef int unexpected(self) except -1:
        """Where a token went with the request, the body does not go that way."""
        cdef ClaimWatch watch = self.watch
        if not self.expected:
            return 0
        self.expected = False
        if watch is None:
            return self.channel.claims.void(self)
        self.watch = None
        watch.body = None
        watch.connection.abort(EXCHANGE_OVER)
        return 0

    cdef int begin(self, Answer *answer, const char *data, Py_ssize_t size) except -1:
        """Write the head, and have the guest dial, or claim on a connection that it has, unless it has
        done so."""
        cdef FastChannel channel = self.channel
        self.length = answer.bulk
        self.status = answer.status
        self.told = -1
        self.moved = 0
        if answer.ahead:
            self.expected = False
            self.sink.write(data, size, True)
            if self.watch is None:
                return channel.claims.lapse(self)
            self.watch.headed(self.length)
            return self.sink_has_room()
        self.unexpected()
        self.identity = channel.identity
        self.exchange = answer.number
        channel.claims.issue(self)
        self.sink.write(data, size, True)
        channel.say(connect_frame(answer.number, self.token))
        return 0

    cdef int taken(self, ClaimWatch watch) except -1:
        self.watch = watch
        if self.expected:
            return watch.carry(self, HELD, None)
        watch.carry(self, RECEIVING, self.length)
        return self.sink_has_room()

    cdef int sink_has_room(self) except -1:
        cdef int fd = self.sink.descriptor()
        cdef long long window
        if fd < 0:
            return self.sink.wait_for_room(self)
        window, self.sink.window = self.sink.window, -1
        return self.splice(self.watch.fd, fd, self.length, window)

    cdef int sink_closed(self) except -1:
        """The connection tells the rest."""

    cdef int flow_stopped(self, Flow flow, int outcome) except -1:
        if outcome == DONE:
            self.moved = flow.given
            self.carried()
            if self.told >= 0:
                self.front.download_over(self)
            return 0
        if outcome == FULL:
            self.watch.rounds.add(flow.sink, EPOLLOUT, flow)
            flow.writes = True
            return 0
        # The end of the source, or of the sink, where it should not be: Python says what it means.
        return self.front.to_slow()

    cdef bint end_came(self, int64_t length) except -1:
        """The guest says that all has been sent; false if that is for the Python path."""
        if self.told >= 0 or (length >= 0 and length != self.length):
            return False
        self.told = self.length
        if self.moved == self.length and self.watch is None:
            self.front.download_over(self)
        return True

    @property
    def ended(self):
        """Whether the guest has said that all has been sent."""
        return self.told >= 0
