# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The guest's side of the compiled path: exchanges begun there, and the answers to them.

A C{FastChannel} stands before a C{SubscriptionProtocol} once that has greeted. It cuts what comes
into frames. A plain response to an exchange that it began goes straight to the client; every
other frame goes to the Python path, in order and untouched, after the exchange
that it is about, if that was begun here, has been moved there. The Python side is given
whole frames only, so that it holds nothing when a plain response comes.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memmove

from subproxy.fastpath._frames cimport INCOMPLETE, NO_FRAME, frame_length
from subproxy.fastpath._response cimport Answer, concerned, decode
from subproxy.fastpath._bytes cimport u8
from subproxy.reactor._frame_link cimport link_of
from subproxy.reactor._receive cimport MOST
from subproxy.reactor._stream cimport Stream

from subproxy.fastpath._body_frames cimport decode_abort, decode_body, decode_credit, decode_end
from subproxy.fastpath._claim_watch cimport ClaimTable
from subproxy.fastpath._fast_client cimport FastClient
from subproxy.fastpath._fast_exchanges cimport FastExchanges
from subproxy.fastpath._guest_tunnels cimport GuestTunnels
from subproxy.fastpath._log_format cimport Text
from subproxy.fastpath._slots cimport get, number, real, set_number, set_real, slot

from subproxy.subscription.buffer_account import BufferAccount, BufferPart
from subproxy.subscription.channel import Channel
from subproxy.subscription.protocol import SMALL_PART
from subproxy.telemetry.log_format import escaped
from subproxy.subscription.time_share import TimeShare
from subproxy.subscription.upstream_request import abort_error

cdef enum:
    LEAST_OFFERED = 4096  # bytes of a frame still to come that are worth a receive of their own
    PART = 16384  # bytes that are received at once where the rest of a frame is to come
    AHEAD = 5  # times what came there is room for: of a full buffer, all that rides in a frame
    HEADS = 32768  # bytes of a frame beside the body in it
    SHORT = 512  # bytes of a read whose time is guessed: to look at a clock twice takes longer
    A_LOOK = 16  # answers of a longer read between two looks at the clock

cdef double A_READ = 2e-6  # seconds that a short read is taken to cost...
cdef double A_BYTE = 1e-7  # ... and each byte of it: a small answer, 8 us
cdef long COUNTED = SMALL_PART  # bytes of an incomplete frame from which it counts
cdef Py_ssize_t PART_SIZE = slot(BufferPart, "size")
cdef Py_ssize_t ACCOUNT_TOTAL = slot(BufferAccount, "total")
cdef Py_ssize_t CHANNEL_CONGESTED = slot(Channel, "congested")
cdef Py_ssize_t SHARE_USED = slot(TimeShare, "used")


cdef class FastChannel(FastExchanges):
    """The exchanges of one subscription that were begun on the compiled path.

    On a native stream it is the transport's protocol, in the place of the C{SubscriptionProtocol}.
    """

    def __init__(self, protocol, escape=escaped):
        wire = protocol.wire
        self.protocol = protocol
        self.wire = wire
        self.out = wire.out
        self.exchanges = wire.exchanges
        self.channel = protocol.subscription.channel
        self.member = protocol.subscription.member
        self.name = escape(self.member.identity.encode("utf-8", "replace"))
        self.transport = protocol.transport
        self.stream = self.transport if isinstance(self.transport, Stream) else None
        self.link = link_of(self.transport)
        self.frame_limit = wire.limits.frame
        self.inline_limit = wire.limits.inline
        self.most = wire.most
        self.inline = wire.peer_limits.inline
        self.part, self.account = protocol.buffer_part()
        self.bulk = wire.bulk
        self.ahead = wire.bulk and wire.ahead
        self.least_bulk = (protocol.context.settings.bulk or 0) if wire.bulk else 0
        self.identity = protocol.identity
        context = protocol.context
        self.tunnels = GuestTunnels(wire, context, protocol.identity)
        self.claims = ClaimTable(context.tokens, context.clock)
        self.pump = context.pump
        self.pipes = context.pipes
        self.last = wire.last
        self.share = protocol.share
        if type(self.share) is not TimeShare:
            raise TypeError(f"{self.share!r} is not exactly a Share")
        self.most_used = self.share.most
        self.open = True
        if self.stream is not None and self.stream.protocol is protocol and not self.stream.TLS:
            self.stream.protocol = self
        if self.link is not None:
            self.link.lend(self)

    # -- exchanges ----------------------------------------------------------

    def tell(self):
        """Let the wire know how far numbers are: before Python has anything to do with them."""
        self.wire.last = self.last

    def learn(self):
        """Python has taken a number."""
        self.last = self.wire.last

    cdef int begin(
        self, FastClient client, uint64_t number, const u8 *frame, Py_ssize_t size, bint congested,
        bytes behind=None
    ) except -1:
        """Send the request C{frame}, and its rest C{behind} it, to which C{client} gets the answer."""
        cdef bytes kept = None
        # Who makes room for it may write meanwhile, or make frames.
        cdef bint room = self.slots[number & (self.slot_count - 1)].client == NULL
        if (
            congested or not room or (self.stream is None and self.link is None)
            or PyList_GET_SIZE(self.out)
        ):
            kept = PyBytes_FromStringAndSize(<const char *>frame, size)
        self.put(client, number)
        self.last = number
        if congested:
            # The guest does not read, and it is counted what it leaves unread.
            self.out.append(kept)
            if behind is not None:
                self.out.append(behind)
            self.protocol.flush()
            return 0
        if kept is not None:
            self.say(kept)
        elif self.link is not None:
            self.link.gather(<const char *>frame, size)
        else:
            self.stream.cgather(<const char *>frame, size)
        return 0 if behind is None else self.say(behind)

    cdef int say(self, bytes frame) except -1:
        """Send a frame behind what was said before."""
        if PyList_GET_SIZE(self.out) or self.congested():
            # Something of this turn waits to be written before; or the guest does not read.
            self.out.append(frame)
            self.protocol.flush()
        elif self.stream is not None:
            self.stream.cwrite(frame)
        else:
            self.transport.write(frame)
        return 0

    def close(self):
        """The subscription ends: begin nothing more. What there is, is still to be surrendered."""
        self.open = False
        self.tell()
        self.offer()
        if self.stream is not None and self.stream.connected and self.stream.protocol is self:
            self.stream.protocol = self.protocol
        if self.link is not None:
            self.link.lent_back(self)

    cdef bint congested(self) except -1:
        return get(self.channel, CHANNEL_CONGESTED) is not False

    # -- bodies of the Python path ------------------------------------------

    cdef object body_carrier(self, uint64_t number):
        """Who has the exchange of that number, if the compiled path may pass on what comes for it."""
        return None

    cdef bint body_came(self, object carrier, const u8 *data, Py_ssize_t size) except -1:
        """Pass on what the guest sends for C{carrier}; false, and nothing was done, if that is
        not for here."""
        return False

    # -- bytes --------------------------------------------------------------

    def dataReceived(self, bytes data):
        """The guest said something."""
        self.feed(<const u8 *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef int received(self, char *data, Py_ssize_t size) except -1:
        return self.feed(<const u8 *>data, size)

    def connectionLost(self, reason):
        """The connection is gone."""
        self.protocol.connectionLost(reason)

    def logPrefix(self):
        """As the protocol's."""
        return self.protocol.logPrefix()

    def go_on(self):
        """The Python path has caught up: on with what was held back meanwhile."""
        self.behind = False
        if not self.walking and self.held_size:
            self.feed(NULL, 0)

    cdef int hold(self, const u8 *data, Py_ssize_t size) except -1:
        cdef bytes larger
        cdef u8 *place = NULL
        if self.held is not None:
            place = <u8 *>PyBytes_AS_STRING(self.held) + self.held_size
        if data != place:
            # Else it was received where it belongs.
            if self.held_size + size > self.held_room:
                self.held_room = self.room(self.held_size + size)
                larger = PyBytes_FromStringAndSize(NULL, self.held_room)
                place = <u8 *>PyBytes_AS_STRING(larger) + self.held_size
                if self.held_size:
                    memcpy(place - self.held_size, PyBytes_AS_STRING(self.held), self.held_size)
                self.held = larger
            memmove(place, data, size)
        self.held_size += size
        if self.held_size >= COUNTED:
            self.count_held()
        return 0

    cdef Py_ssize_t room(self, Py_ssize_t size) noexcept:
        """How large to make C{held} for C{size} bytes: as what came, some times over, and not what
        a guest says that it will send."""
        if size < self.wanted <= min(AHEAD * size, self.inline_limit + HEADS):
            return self.wanted
        return 2 * size

    cdef int offer(self) except -1:
        """What is still to come of a frame may be received where it is held, if it is much."""
        cdef Py_ssize_t spare = 0
        if self.held_size and self.open:
            spare = min(self.wanted, self.held_room) - self.held_size
        if spare >= LEAST_OFFERED and self.stream is not None:
            self.stream.offer(self.held, self.held_size, spare)
            self.offering = True
            if not self.narrow:
                self.narrow = True
                self.stream.most = PART
        elif self.offering:
            self.offering = False
            self.stream.offer(None, 0, 0)
        return 0

    cdef int count_held(self) except -1:
        """What is held counts against what its virtual machine may make us hold: C{partial} of the
        C{SubscriptionProtocol}, in the same numbers, without a call as long as that is enough."""
        cdef long size = self.held_size if self.held_size >= COUNTED else 0
        cdef long before, total
        self.counted = size
        if self.behind:
            # Python holds some of it.
            self.protocol.partial()
            return 0
        before = number(self.part, PART_SIZE)
        if size == before:
            return 0
        set_number(self.part, PART_SIZE, size)
        total = number(self.account, ACCOUNT_TOTAL) + size - before
        set_number(self.account, ACCOUNT_TOTAL, total)
        if size > before and total > self.quota:
            # A policy may have changed it since.
            self.quota = self.protocol.check_partial(size)
        return 0

    # -- time ---------------------------------------------------------------

    cdef int use(self, double seconds) except -1:
        return set_real(self.share, SHARE_USED, real(self.share, SHARE_USED) + seconds)

    cdef bint spent(self, bint timed) except -1:
        """Count what was used since the last look, if that is timed; whether the share is spent."""
        cdef double now
        if timed:
            now = self.share.timer()
            self.use(now - self.began)
            self.began = now
        return self.exhausted()

    cdef bint exhausted(self) except -1:
        """Whether the share is spent."""
        return real(self.share, SHARE_USED) >= self.most_used and self.share.spent()

    cdef int wait(self) except -1:
        """Go on with what is held in a later turn of the reactor."""
        self.protocol.message_pump.wait()
        self.behind = self.protocol.message_pump.behind
        return 0

    cdef int feed(self, const u8 *data, Py_ssize_t size) except -1:
        """C{data} came: deal with it, and hold what is no whole frame."""
        if self.narrow and size <= SHORT and not self.held_size:
            # No large frames any more.
            self.narrow = False
            self.stream.most = MOST
        self.take(data, size)
        if self.held_size or self.offering:
            self.offer()
        return 0

    cdef int take(self, const u8 *data, Py_ssize_t size) except -1:
        """C{feed}, but for where the next bytes are received."""
        cdef Py_ssize_t done, room
        cdef bytes held
        cdef u8 *begin
        if not self.open:
            if size:
                self.protocol.frames_received(PyBytes_FromStringAndSize(<const char *>data, size))
            return 0
        if self.walking or self.behind:
            return self.hold(data, size)
        if self.exhausted():
            if size:
                self.hold(data, size)
            return self.wait()
        if self.held_size == 0:
            self.walking = True
            try:
                done = self.walk(data, size)
            finally:
                self.walking = False
            if done < size:
                # What came while we walked is behind this.
                if self.held_size:
                    rest = PyBytes_FromStringAndSize(PyBytes_AS_STRING(self.held), self.held_size)
                    self.held_size = 0
                    self.hold(data + done, size - done)
                    self.hold(<const u8 *>PyBytes_AS_STRING(rest), PyBytes_GET_SIZE(rest))
                else:
                    self.hold(data + done, size - done)
            return 0
        if size:
            self.hold(data, size)
        if self.held_size < self.wanted:
            return 0
        # The buffer must not move under the walk: what comes meanwhile gets another.
        held = self.held
        size = self.held_size
        room = self.held_room
        begin = <u8 *>PyBytes_AS_STRING(held)
        self.held = None
        self.held_size = self.held_room = 0
        self.walking = True
        try:
            done = self.walk(begin, size)
        finally:
            self.walking = False
        if done < size:
            done = size - done
            if self.held_size == 0:
                memmove(begin, begin + (size - done), done)
                self.held = held
                self.held_size = done
                self.held_room = room
            else:
                rest = PyBytes_FromStringAndSize(PyBytes_AS_STRING(self.held), self.held_size)
                self.held_size = 0
                self.hold(begin + (size - done), done)
                self.hold(<const u8 *>PyBytes_AS_STRING(rest), PyBytes_GET_SIZE(rest))
        if self.held_size < self.counted:
            self.count_held()
        return 0

    cdef Py_ssize_t walk(self, const u8 *data, Py_ssize_t size) except -1:
        """Deal with the whole frames of C{data}; return how many bytes that was."""
        cdef const u8 *p = data
        cdef const u8 *end = data + size
        cdef const u8 *run = data  # where that begins which Python has not been given yet
        cdef const u8 *payload = NULL
        cdef Py_ssize_t length
        cdef uint64_t number
        cdef Answer answer
        cdef int64_t told, amount
        cdef Text code, reason
        cdef bint plain, passed
        cdef FastClient client
        cdef const u8 *body = NULL
        cdef Py_ssize_t body_size = 0
        cdef bint timed = size > SHORT
        cdef int answers = 0
        cdef object left = None  # whose pieces are Python's for the rest of this read
        self.wanted = 0
        if timed:
            self.began = self.share.timer()
        else:
            self.began = 0.0
            self.use(A_READ + A_BYTE * size)
        while p < end:
            length = frame_length(p, end, self.frame_limit, &payload)
            if length == INCOMPLETE:
                break
            if length == NO_FRAME:
                # Nothing after it can be trusted, and Python says so.
                self.open = False
                self.to_python(run, end - run)
                return size
            if end - payload <= length:
                self.wanted = payload - p + length + 1
                break
            if payload[length] != c"]":
                self.open = False
                self.to_python(run, end - run)
                return size
            passed = False
            carrier = None
            client = None
            if decode_body(payload, payload + length, &number, &body, &body_size):
                client = self.find_tunnel(number)
                if client is None:
                    carrier = self.body_carrier(number)
            if client is not None or carrier is not None:
                # Python is given all that it must take of a body at once, not frame by frame.
                if client is not None or carrier is not left:
                    if run < p:
                        if not self.to_python(run, p - run):
                            return p - data
                        run = p
                        client = self.find_tunnel(number)
                        carrier = None if client is not None else self.body_carrier(number)
                    if client is not None:
                        passed = client.body_came(body, body_size)
                    else:
                        passed = carrier is not None and self.body_came(carrier, body, body_size)
                        if not passed:
                            left = carrier
            elif self.count:
                number = 0
                told = -2  # no end
                amount = 0  # no credit
                plain = decode(payload, payload + length, self.inline_limit, &answer)
                if plain:
                    number = answer.number
                elif decode_end(payload, payload + length, &number, &told):
                    plain = True
                elif decode_credit(payload, payload + length, &number, &amount):
                    plain = True
                elif decode_abort(payload, payload + length, &number, &code, &reason):
                    plain = True
                    told = -3  # given up
                if plain:
                    if self.find(number) is not None:
                        if run < p:
                            if not self.to_python(run, p - run):
                                return p - data
                            run = p
                        client = self.find(number)
                        if client is None:
                            passed = False
                        elif amount:
                            passed = client.granted(amount)
                        elif told == -3:
                            passed = client.failed(abort_error(
                                PyBytes_FromStringAndSize(<const char *>code.at, code.size),
                                PyBytes_FromStringAndSize(<const char *>reason.at, reason.size),
                            ))
                        elif told == -2:
                            passed = client.answered(&answer) != 0
                        else:
                            passed = client.end_came(told)
                else:
                    number = concerned(payload, payload + length)
                client = None if passed else self.find(number)
            if client is not None and not passed:
                if not timed:
                    # What was guessed is not true of this.
                    timed = True
                    self.began = self.share.timer()
                self.tell()
                client.give_up()
                if self.spent(True):
                    # With the frame that it was given up for.
                    p = payload + length + 1
                    if self.to_python(run, p - run) and p < end:
                        self.wait()
                    return p - data
            p = payload + length + 1
            if passed:
                run = p
                if not self.open:
                    self.to_python(run, end - run)
                    return size
                answers += 1
                if timed and answers % A_LOOK == 0 and self.spent(True) and p < end:
                    self.wait()
                    return p - data
        if timed:
            self.spent(True)
        if run < p:
            self.to_python(run, p - run)
        return p - data

    cdef bint to_python(self, const u8 *data, Py_ssize_t size) except -1:
        """Give Python these frames; false if what follows must wait, or nothing follows."""
        if size:
            self.tell()
            # It counts its time itself.
            if self.began > 0.0:
                self.spent(True)
            self.protocol.frames_received(PyBytes_FromStringAndSize(<const char *>data, size))
            self.behind = self.protocol.message_pump.behind
            if self.began > 0.0:
                self.began = self.share.timer()
        return self.open and not self.behind
