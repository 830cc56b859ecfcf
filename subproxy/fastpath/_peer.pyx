# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""What another process of the proxy asks, on the compiled path: for guests of this one.

A C{FastPeer} stands before a C{FastPeerProtocol} once both have greeted. A plain request goes straight
to a guest, and its plain answer straight back; both ways a frame is copied, not taken to pieces. What
is written in a turn of the reactor goes out at its end, at once: a record of TLS costs more than what
is in it. Every other frame goes to the Python path, in order and untouched, after the exchange
that it is about, if that was begun here, has been moved there.

The same in Python: C{subproxy.frontend.peer.protocol} and C{subproxy.frontend.peer.stream} (see
C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._frames cimport INCOMPLETE, NO_FRAME, frame_length
from subproxy.fastpath._peer_frames cimport (
    PeerRequest, answer_room, back_answer, decode_request, guest_frame,
)
from subproxy.fastpath._response cimport Answer, concerned, is_bodiless
from subproxy.fastpath._route_cache cimport RouteCache, RouteEntry
from subproxy.fastpath._slots cimport get, slot
from subproxy.reactor._engine cimport enqueue
from subproxy.reactor._frame_link cimport link_of
from subproxy.reactor._out_buffer cimport reserve_out, take_out
from subproxy.reactor._turn_end cimport turn_end

from subproxy.core.balancing.member import Member
from subproxy.fastpath import shared_channel as _shared_channel
from subproxy.subscription import channel as _channel
from subproxy.wire.states import Side

cdef enum:
    KEPT = 65536  # bytes of room that are kept from one turn to the next
    MORE = 16384  # bytes of room that there are more than was asked for
    MUCH = 262144  # bytes that are written before the turn ends

cdef type PythonChannel = _shared_channel.SharedChannel
cdef Py_ssize_t MEMBER_CHANNEL = slot(Member, "channel")
cdef Py_ssize_t CHANNEL_FAST = slot(PythonChannel, "fast")
cdef Py_ssize_t CHANNEL_CONGESTED = slot(_channel.Channel, "congested")
cdef object OPEN = Side.OPEN
cdef object DRAINING = Side.DRAINING


cdef class FastPeerRequest(FastClient):
    """A request that a guest has, and that nothing but its answer concerns."""

    @property
    def member(self):
        """Who has it."""
        return self.channel.member

    cdef int answered(self, Answer *answer) except -1:
        cdef FastPeer front = self.front
        cdef FastChannel channel = self.channel
        cdef bint bodiless = self.is_head or is_bodiless(answer.status)
        cdef Py_ssize_t size = 0 if bodiless else answer.body_size
        cdef Py_ssize_t room
        cdef u8 *out
        cdef u8 *end
        cdef u8 *at
        if answer.bulk >= 0 or answer.streamed or front is None or not front.open or not front.protocol.writable:
            return 0
        if not bodiless and answer.length >= 0 and answer.length != size:
            return 0
        if size > front.inline:
            return 0
        room = answer_room(answer)
        if room > front.most:
            return 0
        # It is written from its end, and moved to where it belongs.
        out = (
            reserve_out(&front.out, 2 * room, MORE) if front.link is None
            else front.link.room(2 * room)
        )
        end = out + 2 * room
        at = back_answer(end, answer, self.number, bodiless)
        memcpy(out, at, end - at)
        if front.link is not None:
            front.link.filled(end - at)
        else:
            front.out.size += end - at
            front.soon()
        channel.drop(self.asked)
        del front.requests[self.number]
        front.path.answered += 1
        member = channel.member
        self.front = None
        self.channel = None
        front.path.chooser.release(member, answer.status)
        if front.awaited and not front.requests:
            front.protocol.emptied()
        return 1

    cdef int give_up(self) except -1:
        """See C{FastClient}: the exchange goes on in Python."""
        cdef FastPeer front = self.front
        if front is None:
            return 0
        self.front = None
        front.path.declined_answers += 1
        self.channel.drop(self.asked)
        self.channel.tell()
        del front.requests[self.number]
        front.wire.last = front.last
        front.protocol.adopt(self)
        self.channel = None
        return 0


cdef class FastPeer(Receiver):
    """The exchanges of one other process that were begun on the compiled path."""

    def __dealloc__(self):
        free(self.out.data)

    def __init__(self, protocol, FastContext path, seconds=None):
        """
        Stand before C{protocol}.

        @param seconds: tells the time, if somebody wants to know when something came last.
        """
        wire = protocol.wire
        self.protocol = protocol
        self.wire = wire
        self.transport = protocol.transport
        self.path = path
        self.onward = protocol.onward
        self.turn_end = turn_end(self.transport, self)
        self.requests = {}
        self.held = b""
        self.frame_limit = wire.limits.frame
        self.inline_limit = wire.limits.inline
        self.inline = wire.peer_limits.inline
        self.most = wire.most
        self.last = wire.last
        self.seconds = seconds
        if seconds is not None:
            self.heard = seconds()
        self.link = link_of(self.transport)
        if self.link is not None:
            self.link.lend(self)
        elif isinstance(self.transport, Stream) and (<Stream>self.transport).protocol is protocol:
            self.stream = self.transport
            self.stream.protocol = self
        self.look()

    def __len__(self):
        return len(self.requests)

    def __bool__(self):
        return True

    # -- what the protocol calls --------------------------------------------

    def dataReceived(self, bytes data):
        """The other process said something."""
        self.received(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef int received(self, char *data, Py_ssize_t size) except -1:
        cdef Py_ssize_t done
        cdef bytes whole
        if self.seconds is not None:
            self.heard = self.seconds()
        if not self.held:
            done = self.walk(<const u8 *>data, size)
            return self.keep(<const u8 *>data + done, size - done)
        whole = self.held + PyBytes_FromStringAndSize(data, size)
        size = PyBytes_GET_SIZE(whole)
        if size < self.wanted:
            self.held = whole
            return 0
        self.held = b""
        done = self.walk(<const u8 *>PyBytes_AS_STRING(whole), size)
        return self.keep(<const u8 *>PyBytes_AS_STRING(whole) + done, size - done)

    cdef int keep(self, const u8 *data, Py_ssize_t size) except -1:
        """What is no whole frame yet."""
        if size:
            self.held = PyBytes_FromStringAndSize(<const char *>data, size)
        return 0

    def connectionLost(self, reason):
        """The connection is gone."""
        self.protocol.connectionLost(reason)

    def logPrefix(self):
        """As the protocol's."""
        return self.protocol.logPrefix()

    def surrender(self):
        """Move all exchanges to the Python path; the connection is over."""
        self.open = False
        if self.link is not None:
            self.link.lent_back(self)
        for request in [self.requests[number] for number in sorted(self.requests)]:
            (<FastPeerRequest>request).give_up()

    def write(self):
        """Write what was gathered."""
        if self.out.size:
            self.transport.write(take_out(&self.out, KEPT))

    def turn_ended(self):
        """The turn of the reactor in which something was gathered ends."""
        self.called = False
        self.write()

    # -- bytes --------------------------------------------------------------

    cdef int soon(self) except -1:
        if self.out.size > MUCH:
            self.write()
        if self.called:
            return 0
        self.called = True
        if self.turn_end is not None:
            enqueue(self.turn_end)
        else:
            self.path.factory.context.clock.callLater(0, self.turn_ended)
        return 0

    cdef int look(self) except -1:
        """Find out whether requests may be begun here."""
        self.open = self.wire.theirs is OPEN and (
            self.wire.ours is OPEN or self.wire.ours is DRAINING
        )
        self.last = self.wire.last
        return 0

    cdef int to_python(self, const u8 *data, Py_ssize_t size) except -1:
        """Give Python these frames."""
        if size:
            self.wire.last = self.last
            self.protocol.frames_received(PyBytes_FromStringAndSize(<const char *>data, size))
            self.look()
        return 0

    cdef Py_ssize_t walk(self, const u8 *data, Py_ssize_t size) except -1:
        """Deal with the whole frames of C{data}; return how many bytes that was."""
        cdef const u8 *p = data
        cdef const u8 *end = data + size
        cdef const u8 *run = data  # where that begins which Python has not been given yet
        cdef const u8 *payload = NULL
        cdef Py_ssize_t length
        cdef PeerRequest request
        cdef bint passed
        self.wanted = 0
        while p < end:
            length = frame_length(p, end, self.frame_limit, &payload)
            if length == INCOMPLETE:
                break
            if length == NO_FRAME or (end - payload > length and payload[length] != c"]"):
                # Nothing after it can be trusted, and Python says so.
                self.open = False
                self.to_python(run, end - run)
                return size
            if end - payload <= length:
                self.wanted = payload - p + length + 1
                break
            passed = False
            if length > 10 and memcmp(payload, b"7:request,", 10) == 0:
                if self.open and decode_request(
                    payload, payload + length, self.inline_limit, &request
                ):
                    # Their numbers grow, here and there.
                    self.to_python(run, p - run)
                    run = p
                    passed = (
                        self.open and request.number > self.last
                        and self.begin(&request, payload + length)
                    )
                if not passed:
                    self.path.declined_requests += 1
            elif self.requests:
                asked = self.requests.get(concerned(payload, payload + length))
                if asked is not None:
                    # It is about to hear of it, behind what came before.
                    self.to_python(run, p - run)
                    run = p
                    (<FastPeerRequest>asked).give_up()
            p = payload + length + 1
            if passed:
                run = p
        self.to_python(run, p - run)
        return p - data

    cdef bint begin(self, const PeerRequest *request, const u8 *end) except -1:
        """Send a request on. False, and nothing has happened, if that is not for here."""
        cdef RouteCache chooser = self.path.chooser
        cdef FastPeerRequest asked
        cdef FastChannel channel
        cdef RouteEntry way
        cdef bytes frame
        way = chooser.route(request.host, request.host_size, request.target, request.path_size)
        if way is None:
            return False
        member = chooser.choose_here(way.pool, self.onward)
        if member is None:
            return False
        python_channel = get(member, MEMBER_CHANNEL)
        if type(python_channel) is not PythonChannel:
            return False
        channel = get(python_channel, CHANNEL_FAST)
        if channel is None or not channel.open or request.body_size > channel.inline:
            return False
        if end - request.rest + 64 > channel.most:
            return False
        asked = FastPeerRequest.__new__(FastPeerRequest)
        asked.front = self
        asked.number = request.number
        asked.asked = channel.last + 1
        asked.pool = way.pool
        asked.channel = channel
        asked.is_head = request.method_size == 4 and memcmp(request.method, b"HEAD", 4) == 0
        asked.frame = frame = guest_frame(request, end, asked.asked)
        self.requests[asked.number] = asked
        self.last = request.number
        chooser.charge(member, way.pool)
        # It may be answered before this returns.
        channel.begin(
            asked, asked.asked, <const u8 *>PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame),
            get(python_channel, CHANNEL_CONGESTED) is not False,
        )
        return True
