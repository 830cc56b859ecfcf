# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""One stream of HTTP/2 on the compiled path: a plain request, and its plain answer."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t

from subproxy.fastpath._asking cimport AskingClient, answered_over
from subproxy.fastpath._body_assembly cimport BodyAssembly
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._http2_counts cimport FastHttp2Counts
from subproxy.fastpath._http2_output cimport FastHttp2Output
from subproxy.fastpath._http2_response cimport answer_room, write_answer
from subproxy.fastpath._pending cimport PendingRequest
from subproxy.fastpath._request_head cimport GOOD, Head, scan
from subproxy.fastpath._response cimport Answer, bodiless_length, is_bodiless
from subproxy.fastpath._route_cache cimport RouteEntry

from subproxy.frontend.http2.bounds import STREAM_WINDOW as _stream_window

cdef enum:
    MOST_ANSWER = 65536  # bytes of an answer's body: what rides in a frame of the guest
    MOST_FIELDS_SIZE = 8192  # bytes of an answer's fields, which so fit into one frame
    MOST_GATHERED = 262144  # bytes that are gathered in a turn, above which Python has answers

cdef double NEVER = float("inf")
cdef long STREAM_WINDOW = _stream_window


cdef class FastHttp2Stream(AskingClient):
    """One request that a guest has, and that nothing but its answer concerns."""

    @property
    def shell(self):
        """What it goes over to."""
        return self.front.shell

    cdef bint begin(
        self, const u8 *data, Py_ssize_t size, Head *head, BodyAssembly gathered=None
    ) except -1:
        """Send a request on, with the body that was C{gathered}. False, and nothing has happened, if
        that is not for here."""
        cdef bytes behind = None
        cdef Py_ssize_t body = 0
        cdef PendingRequest asked
        cdef RouteEntry way
        way = self.path.chooser.route(head.host, head.host_size, head.target, head.path_size)
        if way is None or way.asks(self.told.trusted, self.told.scheme, self.front.tls):
            return False
        asked = self.asked = PendingRequest.__new__(PendingRequest)
        asked.prefix = self.path.prefix
        asked.http2 = True
        if gathered is not None and gathered.filled:
            body = gathered.filled
            behind = gathered.behind()
        if body > way.most_body:
            return False
        head.length = body
        member = self.path.chooser.choose(way.pool)
        if member is None or not self.prepare(member, data, head, body, way, behind is not None):
            return False
        self.given = self.path.now()
        self.late = self.given + (
            self.path.response_timeout if way.response_timeout < 0.0 else way.response_timeout
        )
        asked.keep(PyBytes_FromStringAndSize(<const char *>data, size), data, head, behind)
        self.ask(behind)
        return True

    cdef bint gather(self, const u8 *data, Py_ssize_t size, const Head *head) except -1:
        """Wait for the body of a request; it is not longer than STREAM_WINDOW."""
        self.length = head.length
        self.gathering = BodyAssembly.__new__(BodyAssembly)
        self.gathering.start(
            data, size, NULL, 0, STREAM_WINDOW if head.length < 0 else head.length, tight=True
        )
        self.late = NEVER
        if head.length < 0:
            self.leave()
        return True

    cdef bint waits(self, double now) except -1:
        """It is here, and waits for its body, at whose pace Python looks, or for an answer for too
        long."""
        return self.front is not None and (self.gathering is not None or now >= self.late)

    cdef int leave(self) except -1:
        """Python is to have it as soon as there is time, if it still waits then."""
        if not self.leaves:
            self.leaves = True
            if self.front.leaving is None:
                self.front.leaving = []
            self.front.leaving.append(self)
        return 0

    cdef bint begin_gathered(self) except -1:
        """The body is whole: send the request on, if that is for here."""
        cdef Head head
        cdef BodyAssembly gathering = self.gathering
        cdef const u8 *data = <const u8 *>PyBytes_AS_STRING(gathering.head)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(gathering.head)
        if (
            scan(data, size, &self.path.bounds, self.told.trusted, &head) != GOOD
            or head.size != size
        ):
            return False
        # It may be answered before this returns.
        self.gathering = None
        if self.begin(data, size, &head, gathering):
            return True
        self.gathering = gathering
        return False

    @property
    def text(self):
        """The head of a request whose body is gathered, as HTTP/1.1 has it."""
        return self.gathering.head

    @property
    def body(self):
        """What came of that body."""
        return self.gathering.came()

    cdef int answered(self, Answer *answer) except -1:
        cdef FastContext path = self.path
        cdef FastChannel channel = self.channel
        cdef PendingRequest asked = self.asked
        cdef FastHttp2Output front = self.front
        cdef FastHttp2Counts counts
        cdef bint bodiless = asked.is_head or is_bodiless(answer.status)
        cdef Py_ssize_t size = 0 if bodiless else answer.body_size
        cdef int64_t length
        cdef bytes date = path.date
        cdef u8 id[256]
        cdef int id_size
        cdef u8 *begin
        cdef double now
        if answer.bulk >= 0 or answer.streamed or size > MOST_ANSWER:
            return 0
        if front is None or front.over or not front.writable:
            return 0
        if bodiless:
            length = bodiless_length(answer)
        else:
            length = size
            if answer.length >= 0 and answer.length != size:
                return 0
        counts = front.counts
        if size > counts.room or size > counts.first_room + self.room:
            return 0
        if answer.fields_size > MOST_FIELDS_SIZE or front.out.size + size > MOST_GATHERED:
            return 0
        if answer.fields_size + 32 * answer.kept + 256 > front.peer_list_size:
            return 0
        id_size = <int>(asked.put_id(id) - id)
        begin = front.reserve(answer_room(answer, id_size, size))
        front.out.size += write_answer(
            begin, answer, length, <const u8 *>PyBytes_AS_STRING(date),
            <int>PyBytes_GET_SIZE(date), id, id_size, size, <uint32_t>self.number, counts.shrinks,
        ) - begin
        counts.shrinks = False
        counts.room -= size
        counts.open -= 1
        counts.heads -= self.cost
        now = path.now()
        channel.drop(asked.number)
        answered_over(channel, False)
        del front.streams[self.number]
        front.soon()
        if path.lines is not None:
            asked.log(
                path.lines, channel.name, answer.status, size, now - self.given,
                now - self.started, now - self.started,
            )
        path.answered += 1
        if asked.way.tally is not None:
            asked.way.tally.count(
                answer.status, size, asked.received, now - self.started,
            )
        member = channel.member
        self.front = None
        self.channel = None
        path.chooser.release(member, answer.status)
        return 1

    cdef int give_up(self) except -1:
        """See C{FastClient}: the exchange goes on in Python, on a stream there."""
        cdef FastHttp2Output front = self.front
        if front is None:
            return 0
        front.counts.heads -= self.cost
        if self.gathering is not None:
            front.streams.pop(self.number, None)
            front.shell.adopt_gathered(self)
            self.front = None
            self.gathering = None
            return 0
        self.path.declined_answers += 1
        self.channel.drop(self.asked.number)
        self.channel.tell()
        front.streams.pop(self.number, None)
        front.shell.adopt(self)
        self.front = None
        self.channel = None
        self.asked = None
        return 0


cdef int leave_bodies(dict streams) except -1:
    """Python is to have all whose bodies are gathered: see C{FastHttp2Counts.holds_much}."""
    cdef FastHttp2Stream stream
    for stream in streams.values():
        if stream.gathering is not None:
            stream.leave()
    return 0
