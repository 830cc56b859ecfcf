# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Idle data connections: a C{connect} is read in C, and claims its token.

A C{ClaimWatch} waits on the descriptors of all relays (C{subproxy.relay.pump}), so that a claim and
the first bytes of its body are moved in one round, with no call of Twisted's in between. It reads no byte
beyond the C{connect}.

The same in Python: C{subproxy.subscription.bodies.connect_peeker},
C{subproxy.subscription.bodies.data_connection} and C{subproxy.subscription.bodies.tokens} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.list cimport PyList_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint64_t

from subproxy.fastpath._body_frames cimport LONGEST_CONNECT, decode_connect, end_frame
from subproxy.fastpath._bytes cimport u8
from subproxy.relay._flow cimport FlowUser, SpliceScheduler, Watcher

import os

from subproxy.subscription.bodies.data_connection_state import DataConnectionState
from subproxy.subscription.bodies.tokens import NEVER as _NEVER, REMEMBERED, SIZE
from subproxy.wire.errors import FrameError
from subproxy.wire.frames import FrameDecoder

cdef extern from "sys/socket.h" nogil:
    int MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK
    Py_ssize_t recv(int, void *, size_t, int)
    Py_ssize_t send(int, const void *, size_t, int)

cdef extern from "sys/epoll.h" nogil:
    int EPOLLIN, EPOLLRDHUP

cdef enum:
    TOKENS = 32  # that are made of what the system gives at once

cdef int TOKEN_SIZE = SIZE
cdef double NEVER = _NEVER
cdef object random_bytes = os.urandom
cdef object IDLE = DataConnectionState.IDLE
cdef object SENDING = DataConnectionState.SENDING
cdef object RECEIVING = DataConnectionState.RECEIVING


cdef class BodyClaim(FlowUser):
    """What a token stands for, where the body is moved by compiled code."""

    cdef int taken(self, ClaimWatch watch) except -1:
        """The guest has claimed it: C{watch}'s connection carries the body."""
        raise NotImplementedError

    cdef object to_python(self):
        """Give it to the Python path, in whatever state it is; return the transfer there."""
        raise NotImplementedError

    def claimed(self, connection):
        """See C{PendingClaim}: by a connection that is new, or read by Python."""
        transfer = self.transfer
        if transfer is None:
            transfer = self.to_python()
        transfer._claimed(connection)

    def expired(self):
        """See C{PendingClaim}: nobody has claimed it in time."""
        transfer = self.transfer
        if transfer is None:
            transfer = self.to_python()
        transfer._expired()


cdef class ClaimTable:
    """The tokens that are out, in the tables of C{Tokens}: what that does in Python for each."""

    def __init__(self, tokens, clock):
        self.tokens = tokens
        self.seconds = clock.seconds
        self.prefix = tokens.prefix
        self.promises = tokens.promises
        self.lapsing = tokens.lapsing
        self.spent = tokens.spent
        self.counts = tokens.counts
        self.ends = tokens.ends
        self.unsaid = tokens.ends.waiting
        self.spare = 0

    cdef int issue(self, BodyClaim claim, bint lapses=True) except -1:
        """Give a new token to C{claim}, which lapses from now on, or from when C{lapse} is called."""
        if PyList_GET_SIZE(self.unsaid):
            self.ends.tell()
        if not self.spare:
            # For some at once, by one system call. No fork serves guests, so nobody else has these.
            self.randomness = random_bytes(TOKENS * TOKEN_SIZE)
            self.spare = TOKENS
        self.spare -= 1
        claim.token = PyBytes_FromStringAndSize(
            PyBytes_AS_STRING(self.randomness) + self.spare * TOKEN_SIZE, TOKEN_SIZE
        )
        if self.prefix:
            claim.token = self.prefix + claim.token
        claim.due = NEVER
        self.promises[claim.token] = claim
        self.counts["issued"] += 1
        return self.lapse(claim) if lapses else 0

    cdef int lapse(self, BodyClaim claim) except -1:
        """It must be claimed in time, from now on."""
        claim.due = <double>self.seconds() + <double>self.tokens.timeout
        self.lapsing[claim.token] = claim
        if self.tokens.timer is None:
            self.tokens.wait()
        return 0

    cdef int use(self, BodyClaim claim) except -1:
        """It is claimed by whom it was issued to."""
        if claim.timer is not None:
            self.tokens.use(claim)
            return 0
        self.spend(claim, "used")
        self.counts["claimed"] += 1
        return 0

    cdef int void(self, BodyClaim claim) except -1:
        """Its body goes another way, or nowhere; it does not lapse yet, and was not claimed."""
        return self.spend(claim, "void")

    cdef int spend(self, BodyClaim claim, str how) except -1:
        del self.promises[claim.token]
        self.lapsing.pop(claim.token, None)
        self.spent[claim.token] = how
        if len(self.spent) > REMEMBERED:
            self.spent.popitem(last=False)
        return 0


cdef class ClaimWatch(Watcher):
    """Waits on one data connection; or carries a body there, and then waits again."""

    def __init__(self, connection, pump, tokens, clock, double patience, int fd):
        """Take a descriptor, of which a duplicate is made. Raises OSError: there is none to be had."""
        self.fd = os.dup(fd)
        try:
            self.rounds = pump.scheduler()
        except BaseException:
            os.close(self.fd)
            raise
        self.connection = connection
        self.identity = connection.identity
        self.claims = ClaimTable(tokens, clock)
        self.patience = patience
        self.rounds.add(self.fd, 0, self)

    def start(self):
        """Look from now on."""
        self.idle()

    cdef int idle(self) except -1:
        if not self.watching and self.connection is not None:
            self.watching = True
            self.rounds.arm(self.fd, EPOLLIN | EPOLLRDHUP)
        return 0

    def close(self):
        """Look no more; what is carried goes on in Python, with descriptors of its own."""
        if self.connection is None:
            return
        self.tell_end()
        if self.body is not None:
            # Who closes it tells its user, which this was.
            self.transfer = self.body.to_python()
            self.body = None
        self.connection = None
        self.watching = False
        self.rounds.remove(self.fd)
        os.close(self.fd)
        self.fd = -1

    def send(self, bytes data):
        """Send few bytes at once; False if that can't be done."""
        return self.say(<const char *>data, len(data))

    cdef bint say(self, const void *data, Py_ssize_t size) noexcept:
        return send(self.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) == size

    def tell_end(self):
        """See C{EndTeller}."""
        cdef u8 room[64]
        cdef const u8 *begin = NULL
        cdef int size
        if self.untold:
            size = end_frame(room, self.untold, &begin)
            self.untold = 0
            if not self.say(begin, size):
                self.connection.transport.write(
                    PyBytes_FromStringAndSize(<const char *>begin, size)
                )

    cdef int ready(self) except -1:
        """Something came, or the connection has ended."""
        cdef u8 data[LONGEST_CONNECT + 16]
        cdef bint whole = self.expected > 0
        cdef uint64_t number = 0
        cdef const u8 *token = NULL
        cdef Py_ssize_t token_size = 0, size, n
        if not self.watching:
            return 0  # an event of before, or of the end alone, which nobody has asked for
        self.watching = False
        if self.untold:
            self.tell_end()
        # As long as the last one, it is taken by one call: what is behind it is not ours.
        if whole:
            n = recv(self.fd, data, self.expected, MSG_DONTWAIT)
        else:
            n = recv(self.fd, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT)
        if n < 0 and (errno == EAGAIN or errno == EINTR):
            return self.idle()
        size = decode_connect(data, n, &number, &token, &token_size) if n > 0 else 0
        came = None
        if whole:
            self.expected = 0
            if n > 0:
                came = PyBytes_FromStringAndSize(<const char *>data, n)
        if size == 0 or (whole and size != n):
            return self.odd(came)
        claim = self.claims.promises.get(PyBytes_FromStringAndSize(<const char *>token, token_size))
        if (
            not isinstance(claim, BodyClaim)
            or (<BodyClaim>claim).transfer is not None
            or (<BodyClaim>claim).exchange != number
            or (<BodyClaim>claim).identity != self.identity
            or self.connection.state is not IDLE
        ):
            return self.odd(came)
        # It was all there a moment ago, and nobody else reads.
        if not whole and recv(self.fd, data, size, MSG_DONTWAIT) != size:
            return self.odd(None)
        self.expected = size
        self.claims.use(claim)
        (<BodyClaim>claim).taken(self)
        return 0

    cdef int odd(self, bytes came) except -1:
        """It is for the Python path: a frame of which we know nothing, a part of one, or the end.

        C{came} was received already, as far as it is there.
        """
        cdef u8 data[LONGEST_CONNECT + 16]
        cdef Py_ssize_t n
        connection = self.connection
        if came is not None:
            connection.take_back()
            connection.dataReceived(came)
            return 0
        n = recv(self.fd, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT)
        decoder = FrameDecoder(sizeof(data))
        frame = None
        if n > 0:
            try:
                decoder.feed(PyBytes_FromStringAndSize(<char *>data, n))
                frame = decoder.next()
            except FrameError:
                frame = None
        if frame is None:
            connection.take_back()
        else:
            recv(self.fd, data, n - <Py_ssize_t>decoder.pending, MSG_DONTWAIT)
            connection.frame_came(frame)
        return 0

    # A body is carried by compiled code: what Python would keep of it is set here.

    cdef int carry(self, BodyClaim body, object state, object left) except -1:
        """A body begins; C{left} is its length, if it is received."""
        connection = self.connection
        self.body = body
        connection.state = state
        connection.count += 1
        connection._exchange = body.exchange
        connection._user = self
        connection._left = left
        if state is SENDING and not connection._wide:
            connection.widen()
        return 0

    cdef int headed(self, object left) except -1:
        """The head of what was held for it has come; C{left} is the length."""
        connection = self.connection
        connection.state = RECEIVING
        connection._left = left
        return 0

    cdef int carried(self) except -1:
        """It is over, and the next one may come: C{DataConnection._carried}."""
        connection = self.connection
        if connection.state is RECEIVING:
            self.untold = <uint64_t>self.body.exchange
            self.claims.unsaid.append(self)
            if self.claims.ends.timer is None:
                self.claims.ends.wait()
        self.body = None
        connection._user = None
        connection.state = IDLE
        if connection._idle is None:
            connection.rests()
        else:
            connection._idle_until = <double>self.claims.seconds() + self.patience
        return self.idle()

    # IBodyUser, for what happens to the connection meanwhile.

    def connectionGone(self):
        """The connection is closed."""
        transfer, self.transfer = self.transfer, None
        if transfer is not None:
            transfer.connectionGone()

    def writable(self):
        """All that was written has left."""
