# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The client's side of the compiled path where clients speak HTTP/2.

A C{FastHttp2Connection} cuts what comes into frames. A plain request without body goes from it to
the guest, and its plain answer back, without an object but one for the stream. All other frames
go to the C{FastHttp2Protocol} behind it, in order: it has the rules, and every stream that is not
plain. A body that is small is gathered here, and goes with its request. A stream goes over to it
whenever something happens that is not plain, with the request that a guest already has; the
connection itself stays here, because its fields are read by one decoder. The same in Python:
C{subproxy.frontend.http2.frames} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_Size
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._client_info cimport ClientInfo
from subproxy.fastpath._collected_data cimport END_STREAM, CollectedData, collected_data
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._fallback cimport ReplaceableConnection
from subproxy.fastpath._hpack cimport (
    BLOCK_LARGE, BLOCK_MALFORMED, FastHpackDecoder, field_list, listed,
)
from subproxy.fastpath._http2_head cimport write_text
from subproxy.fastpath._http2_counts cimport FastHttp2Counts
from subproxy.fastpath._http2_output cimport FastHttp2Output
from subproxy.fastpath._http2_response cimport FRAME_HEAD, FRAME_SIZE
from subproxy.fastpath._http2_stream cimport FastHttp2Stream, leave_bodies
from subproxy.fastpath._request_head cimport GOOD, Head, scan
from subproxy.fastpath._route_cache cimport RouteEntry
from subproxy.reactor._turn_end cimport turn_end
from subproxy.reactor._stream cimport Stream

from subproxy.fastpath.http2_protocol import FastHttp2Protocol
from subproxy.frontend.http2 import frames as described
from subproxy.frontend.http2.bounds import (
    CONNECTION_WINDOW as _connection_window, MOST_CRUMBS, MOST_HEADS as _most_heads,
    MOST_STREAMS as _most_streams,
    STREAM_WINDOW as _stream_window,
)

cdef enum:
    PREFACE_SIZE = 24
    END_HEADERS = 4
    PADDED = 8
    HAS_PRIORITY = 32
    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    WINDOW_UPDATE = 8
    CONTINUATION = 9
    A_STREAM = 512  # bytes of a stream, beside the text of its head
    SHARE = 4  # frames that Python deals with in a turn: 50 to 100 us each, for which others wait
    FIELDS_A_FRAME = 50  # so many more in a request cost Python as much as a frame
    BYTES_A_FRAME = 8192  # likewise of a block that is read, if only for the table's sake
    MOST_WINDOW = 0x7FFFFFFF

cdef bytes _preface = described.PREFACE
cdef const u8 *PREFACE = <const u8 *><char *>_preface
cdef long MOST_STREAMS = _most_streams
cdef long STREAM_WINDOW = _stream_window
cdef long MOST_HEADS = _most_heads
cdef long CONNECTION_WINDOW = _connection_window

if described.FRAME_SIZE != FRAME_SIZE or len(_preface) != PREFACE_SIZE:
    raise ImportError("the frames differ from subproxy.frontend.http2.frames")


cdef bint begins_http2(const u8 *data, Py_ssize_t size) noexcept nogil:
    """Whether C{data} is what HTTP/2 begins with, as far as it goes."""
    return size >= 4 and memcmp(data, PREFACE, min(size, PREFACE_SIZE)) == 0


cdef int block_cost(uint32_t size) noexcept:
    """What a block that was read, or a frame of C{size} bytes of one, counts beside its frame."""
    return field_list().count // FIELDS_A_FRAME + <int>(size // BYTES_A_FRAME)


cdef FastHttp2Connection take_over(
    ReplaceableConnection before, FastContext path, object transport, ClientInfo told
):
    """What serves a connection, that was served by C{before}, from its first byte on."""
    cdef FastHttp2Connection front = FastHttp2Connection.__new__(FastHttp2Connection)
    front.path = path
    front.transport = transport
    front.told = path.clients.with_http2(told)
    if before.tls is not None:
        front.before, front.tls = before, before.tls
    front.begin(before)
    return front


cdef class FastHttp2Connection(FastHttp2Output):
    """One connection of a client. Made by C{take_over}."""

    def __dealloc__(self):
        free(self.held)

    def begin(self, before):
        """The client is about to say its preface: say what is taken from it."""
        limits = self.path.factory.context.limits
        transport = self.transport
        self.writable = True
        self.streams = {}
        self.decoder = FastHpackDecoder()
        self.counts = FastHttp2Counts()
        self.list_size = limits.head
        self.most_fields = limits.fields + MOST_CRUMBS
        self.peer_list_size = MOST_WINDOW
        if isinstance(transport, Stream) and not (<Stream>transport).TLS:
            self.stream = <Stream>transport
        self.turn_end = turn_end(transport, self)
        self.shell = FastHttp2Protocol.behind(self, self.decoder)
        self.machine = self.shell.connection
        self.served = self.shell.served
        self.shell.take_over(before, transport, before.peer)

    @property
    def factory(self):
        return self.path.factory

    @property
    def waiting(self):
        return PyDict_Size(self.streams)

    # What the shell calls, beside C{FastHttp2Output}: C{subproxy.fastpath.interfaces.FrontOfHttp2}.

    def turn_ended(self):
        self.called = False
        if self.collected is not None and not self.over:
            self.turned = True
            self.shell.turn_begins()
            self.pass_on()
            self.turned = False
            self.shell.turn_ends()
            self.learn()
        if self.tells and not self.over:
            self.tells = False
            self.shell.turn_ended()
        self.flush()

    def look(self, double now):
        """The sweeper looks: what waits for too long is Python's, a share a turn; whether anything was
        asked since it looked before."""
        cdef FastHttp2Stream stream
        asked, self.seen = self.counts.requests != self.seen, self.counts.requests
        for stream in self.streams.values():
            if stream.waits(now):
                stream.leave()
        if self.leaving and not self.resting:
            self.feed(NULL, 0)
        return asked or bool(self.streams)

    def give_up_all(self):
        cdef FastHttp2Stream stream
        for stream in list(self.streams.values()):
            stream.give_up()

    def lost(self):
        """The connection is over: nothing is written any more."""
        self.over = True
        self.transport = None
        self.stream = None
        if self.turn_end is not None:
            self.turn_end.gatherer = None
            self.turn_end = None
        self.before = self.collected = self.leaving = None
        self.out.size = 0

    # Bytes come.

    cdef int hold(self, const u8 *data, Py_ssize_t size) except -1:
        cdef u8 *larger
        if not size:
            return 0
        if self.held_size + size > self.held_room:
            larger = <u8 *>realloc(self.held, self.held_size + size + 256)
            if larger == NULL:
                raise MemoryError
            self.held = larger
            self.held_room = self.held_size + size + 256
        memcpy(self.held + self.held_size, data, size)
        self.held_size += size
        return 0

    cdef int feed(self, const u8 *data, Py_ssize_t size) except -1:
        cdef Py_ssize_t used
        cdef u8 *held
        if self.over:
            self.shell.discard(size)
            return 0
        if self.resting:
            return self.hold(data, size)
        if self.heavy and size:
            self.hold(data, size)
            self.resting = True
            self.shell.rest(self.path.turns)
            return 0
        self.spent = 0
        self.end_of_read()  # what is left of the one before
        if self.held_size:
            self.hold(data, size)
            held, size = self.held, self.held_size  # which must not move under the walk
            self.held = NULL
            self.held_size = self.held_room = 0
            try:
                used = self.walk(held, size)
                if used < size:
                    self.hold(held + used, size - used)
            finally:
                free(held)
        else:
            used = self.walk(data, size)
            if used < size:
                self.hold(data + used, size - used)
        self.end_of_read()
        if self.turned:
            self.pass_on()
            self.turned = False
            self.shell.turn_ends()
            self.learn()
        self.heavy = self.spent >= SHARE
        if self.heavy and (self.held_size or self.leaving) and not self.over:
            self.resting = True
            self.shell.rest(self.path.turns)
        return 0

    def go_on(self):
        """It is our turn again."""
        self.resting = False
        self.called_up = True
        self.feed(NULL, 0)
        self.called_up = False
        if not self.resting and not self.over:
            self.shell.resume_reading()

    cdef int end_of_read(self) except -1:
        """Bodies of which it is not known how long they are, and that are not here by now, are not
        waited for; nor is any where they hold too much together. Each costs Python a frame; what it
        has none for comes before the next read."""
        cdef FastHttp2Stream stream
        if self.counts.holds_much():
            self.turn()
            leave_bodies(self.streams)
        while self.leaving and self.spent < SHARE:
            stream = self.leaving.pop(0)
            stream.leaves = False
            if stream.waits(self.path.now()):
                self.path.declined_requests += stream.gathering is not None
                self.turn()
                stream.give_up()
                # If others have spent this turn, the rest waits in line.
                self.spent += 1 if self.called_up or not self.path.turns.exhausted() else SHARE
        return 0

    def learn(self):
        most = self.machine.peer_list_size
        self.peer_list_size = MOST_WINDOW if most is None else most
        self.greeted = self.machine.greeted
        self.block = self.machine.partial

    cdef Py_ssize_t walk(self, const u8 *data, Py_ssize_t size) except -1:
        """Deal with the whole frames of C{data}; return how many bytes that was."""
        cdef const u8 *p = data, *end = data + size
        cdef uint32_t length, number
        cdef int kind, flags
        if not self.begun:
            if memcmp(data, PREFACE, min(size, PREFACE_SIZE)) != 0:
                self.shell.no_preface()
                return size
            if size < PREFACE_SIZE:
                return 0
            self.begun = True
            p += PREFACE_SIZE
        while end - p >= FRAME_HEAD and self.spent < SHARE and not self.over:
            length = <uint32_t>p[0] << 16 | <uint32_t>p[1] << 8 | p[2]
            if length > FRAME_SIZE:
                self.turn()
                self.shell.too_large()
                return size
            if end - p - FRAME_HEAD < <Py_ssize_t>length:
                break
            kind = p[3]
            flags = p[4]
            number = <uint32_t>(p[5] & 0x7F) << 24 | <uint32_t>p[6] << 16 | <uint32_t>p[7] << 8 | p[8]
            p += FRAME_HEAD
            if not (
                self.greeted and not self.block and (
                    (kind == HEADERS and self.fields(p, length, flags, number))
                    or (kind == DATA and self.data(p, length, flags, number, end - p))
                    or (kind == WINDOW_UPDATE and length == 4 and self.window(p, number))
                )
            ):
                self.to_python(kind, flags, number, p, length)
            p += length
            if self.spent and not self.called_up and self.path.turns.exhausted():
                self.spent = SHARE  # others have spent this turn: what comes next waits in line
        return size if self.over else p - data

    cdef int turn(self) except -1:
        if not self.turned:
            self.turned = True
            self.shell.turn_begins()
        return 0

    cdef int to_python(
        self, int kind, int flags, uint32_t number, const u8 *p, uint32_t size
    ) except -1:
        cdef FastHttp2Stream stream
        self.spent += 1
        self.turn()
        self.pass_on()
        if number:
            stream = self.streams.get(number)
            if stream is not None:
                stream.give_up()
        data = PyBytes_FromStringAndSize(<const char *>p, size)
        self.shell.frame_came(kind, flags, number, data)
        if kind == HEADERS or kind == CONTINUATION:
            self.spent += block_cost(size)
        self.learn()
        return 0

    cdef bint window(self, const u8 *p, uint32_t number) except -1:
        """WINDOW_UPDATE; False if Python has to know of it."""
        cdef FastHttp2Stream stream
        cdef int64_t more = (
            <int64_t>(p[0] & 0x7F) << 24 | <int64_t>p[1] << 16 | <int64_t>p[2] << 8 | p[3]
        )
        if more == 0:
            return False
        if number == 0:
            if PyDict_Size(self.served) or self.counts.room + more > MOST_WINDOW:
                return False
            self.counts.room += more
            return True
        stream = self.streams.get(number)
        if stream is None or self.counts.first_room + stream.room + more > MOST_WINDOW:
            # Of a stream that is closed it means nothing; Python tells those from idle ones.
            return False
        stream.room += more
        return True

    cdef bint fields(self, const u8 *p, uint32_t size, int flags, uint32_t number) except -1:
        """HEADERS; False if Python has to read them."""
        cdef const u8 *end = p + size
        cdef FastHttp2Counts counts = self.counts
        cdef FastHttp2Stream stream
        cdef Head head
        cdef u8 *text = NULL
        cdef Py_ssize_t length
        cdef int found
        cdef long before = counts.last_stream
        if not flags & END_HEADERS or flags & PADDED or not number & 1:
            return False
        if number <= <uint32_t>counts.last_stream or counts.open >= MOST_STREAMS or self.going:
            return False
        if flags & HAS_PRIORITY:
            if size < 5:
                return False
            if ((<uint32_t>(p[0] & 0x7F) << 24 | <uint32_t>p[1] << 16 | <uint32_t>p[2] << 8 | p[3])
                    == number):
                return False
            p += 5
        found = self.decoder.read(p, end, self.list_size, self.most_fields)
        if found == BLOCK_MALFORMED:
            self.turn()
            self.shell.fields_malformed()
            return True
        if found != BLOCK_LARGE and self.writable and not self.crowded():
            length = write_text(
                field_list(), self.told.sender.scheme, self.told.sender.scheme_size, &text
            )
            if (
                length and counts.heads + length + A_STREAM <= MOST_HEADS
                and scan(text, length, &self.path.bounds, self.told.trusted, &head) == GOOD
                and (self.before is None or self.before.in_scope(head.host, head.host_size))
                and (head.length <= 0 if flags & END_STREAM else self.may_gather(&head))
            ):
                stream = FastHttp2Stream.__new__(FastHttp2Stream)
                stream.front = self
                stream.path = self.path
                stream.told = self.told
                stream.number = number
                # It is counted before: what it sends may be answered at once.
                counts.last_stream = number
                stream.cost = length + A_STREAM
                counts.heads += stream.cost
                counts.open += 1
                counts.requests += 1
                if PyDict_Size(self.streams) == 0:
                    self.shell.deadline = 0.0
                self.streams[number] = stream
                stream.started = self.path.now()
                if stream.begin(text, length, &head) if flags & END_STREAM else stream.gather(text, length, &head):
                    if self.path.draining or counts.requests >= self.path.most_requests:
                        self.going = True
                        self.shell.wrote()
                    return True
                del self.streams[number]
                counts.last_stream = before
                counts.open -= 1
                counts.heads -= stream.cost
                counts.requests -= 1
        self.path.declined_requests += 1
        self.spent += 1 + block_cost(size)
        fields = None if found == BLOCK_LARGE else listed()
        self.turn()
        self.pass_on()
        self.shell.fields_came(number, fields, bool(flags & END_STREAM))
        self.learn()
        return True

    cdef bint crowded(self) except -1:
        """So much waits for the client that a further request waits, too; all of it is Python's."""
        return PyDict_Size(self.served) and self.machine.sender.crowded

    cdef bint may_gather(self, const Head *head) except -1:
        """Whether a body that is to come may go with its request. What will not be sent on is refused
        now, not when its body is here."""
        cdef Py_ssize_t size = head.length if head.length > 0 else 0
        cdef RouteEntry way
        if (size > min(self.path.most_inline, STREAM_WINDOW) or 0 < self.path.most_body < size
                or self.counts.holds_much()):
            return False
        way = self.path.chooser.route(head.host, head.host_size, head.target, head.path_size)
        return (way is not None and size <= way.most_body
                and not way.asks(self.told.trusted, self.told.scheme, self.tls))

    cdef bint data(
        self, const u8 *p, uint32_t size, int flags, uint32_t number, Py_ssize_t rest
    ) except -1:
        """DATA of a body that is gathered, and C{rest} bytes of the read from there on; False if
        Python has to know of it."""
        cdef FastHttp2Counts counts = self.counts
        cdef FastHttp2Stream stream = self.streams.get(number)
        cdef Py_ssize_t came
        cdef bint ends = flags & END_STREAM
        if flags & PADDED or not (size or ends):
            return False
        if stream is None:
            return self.collect(p, size, flags, number, rest)
        if stream.gathering is None:
            return False
        came = stream.came + size
        if size > counts.left or came > STREAM_WINDOW:
            return False
        if (came > stream.length or (ends and came < stream.length)) if stream.length >= 0 else (
            came > self.path.most_inline or 0 < self.path.most_body < came
        ):
            return False
        counts.left -= size
        stream.gathering.add(p, size)
        stream.came = came
        if not ends:
            return True
        stream.whole = True
        if not self.writable or self.crowded() or not stream.begin_gathered():
            self.path.declined_requests += 1
            self.turn()
            stream.give_up()
            return True
        counts.taken += came
        if counts.taken >= CONNECTION_WINDOW // 2:
            counts.left += counts.taken
            self.put_window(<uint32_t>counts.taken)
            counts.taken = 0
        return True

    cdef bint collect(
        self, const u8 *p, uint32_t size, int flags, uint32_t number, Py_ssize_t rest
    ) except -1:
        """DATA of a body that Python has: it is told once a turn, of many frames as of one, because
        each time costs more than what a frame holds. False if it is to be told now."""
        if self.collected is not None and not self.collected.takes(number, size):
            self.turn()
            self.pass_on()
        if self.collected is None:
            if flags & END_STREAM or number not in self.served:
                return False
            self.collected = collected_data(number)
            self.soon()
        self.collected.add(p, size, flags, rest)
        return True

    cdef int pass_on(self) except -1:
        """Tell Python of the DATA that were collected."""
        cdef CollectedData collected = self.collected
        if collected is None:
            return 0
        self.collected = None
        self.shell.frame_came(DATA, collected.flags, collected.number, collected.data())
        return 0
