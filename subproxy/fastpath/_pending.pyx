# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The request that a guest is being asked: what is kept of it for its answer, and for the log.

Its head is not taken apart a second time for what is wanted often. What is wanted seldom is
read out of it again.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from subproxy.fastpath._bytes cimport put_bytes, put_hex8, u8
from subproxy.fastpath._request_frame cimport Sender, encode, room
from subproxy.fastpath._log_buffer cimport FastLogBuffer
from subproxy.fastpath._log_format cimport LogLine, Text, combined, json_line, room as room_for_line
from subproxy.fastpath._request_head cimport (
    GOOD, KEY_SIZE, MOST_FIELDS, Bounds, Field, Head, scan,
)
from subproxy.fastpath._context cimport MOST_HEAD, FastContext
from subproxy.fastpath._route_cache cimport RouteEntry
from subproxy.fastpath._tables cimport IS_ID, Tables, tables
from subproxy.fastpath._trace_field cimport ROOM, TRACE_AT, TRACE_SIZE, add_traceparent
from subproxy.fastpath._client_info cimport ClientInfo

from subproxy.core.http.request_id import MAX_LENGTH as _id_limit
from subproxy.telemetry.recent_requests import detour

cdef const Tables *T = tables()
cdef int ID_LIMIT = min(_id_limit, 200)
cdef Bounds WIDEST
WIDEST.target = WIDEST.head = MOST_HEAD
WIDEST.fields = MOST_FIELDS


cdef bint acceptable(const Field *sent) noexcept nogil:
    """C{subproxy.core.http.request_id.acceptable}."""
    cdef int i
    if not 0 < sent.value_size <= ID_LIMIT:
        return False
    for i in range(sent.value_size):
        if not T.classes[sent.value[i]] & IS_ID:
            return False
    return True


cdef class PendingRequest:
    """One request after the other, of one connection."""

    @property
    def pool(self):
        """Who may answer it."""
        return self.way.pool

    @property
    def rules(self):
        """The rules of its site; None for none."""
        return self.way.rules

    @property
    def body(self):
        """Its body."""
        if self.behind is not None:
            return self.behind[:self.received]
        return self.data[self.head_size:]

    @property
    def stays(self):
        """Whether the client lets the connection stay."""
        return not self.close

    @property
    def trace(self):
        """The trace that it is part of; nothing if none was followed."""
        if self.traceparent is not None:
            return self.traceparent[TRACE_AT:TRACE_AT + TRACE_SIZE]
        return self.data[self.trace_at:self.trace_at + TRACE_SIZE] if self.trace_at else b""

    cdef int keep(self, bytes data, const u8 *at, const Head *head, bytes behind=None) except -1:
        """Keep a request; C{head} points into a copy of its bytes that begins at C{at}."""
        self.data = data
        self.behind = behind
        self.head_size = <short>head.size
        self.method_size = <short>head.method_size
        self.line_size = <short>head.line_size
        self.agent_at = <short>(head.agent - at) if head.agent != NULL else -1
        self.agent_size = <short>head.agent_size
        self.referer_at = <short>(head.referer - at) if head.referer != NULL else -1
        self.referer_size = <short>head.referer_size
        self.key_at = <short>(head.key - at) if head.websocket else -1
        self.is_head = head.method_size == 4 and at[0] == c"H"
        self.close = head.close
        self.received = head.length if head.length > 0 else 0
        self.queued = 0.0
        self.earlier = None
        self.streamed = behind is None and PyBytes_GET_SIZE(data) < head.size + self.received
        return 0

    cdef bytes websocket_key(self):
        """Of the handshake of a WebSocket."""
        return self.data[self.key_at:self.key_at + KEY_SIZE]

    @property
    def key(self):
        """See C{websocket_key}."""
        return self.websocket_key()

    cdef int shorten(self, FastContext path, ClientInfo told) except -1:
        """It has become a tunnel, which may last: keep of its head what the log has of it."""
        cdef Head head
        cdef const u8 *data = <const u8 *>PyBytes_AS_STRING(self.data)
        cdef u8 *begin
        cdef u8 *o
        scan(data, PyBytes_GET_SIZE(self.data), &WIDEST, told.trusted, &head)
        begin = path.room(self.head_size + 256)
        o = put_bytes(begin, data, self.line_size)
        o = put_bytes(o, b"\r\nHost: ", 8)
        o = put_bytes(o, head.host, head.host_size)
        if self.agent_at >= 0:
            o = put_bytes(o, b"\r\nUser-Agent: ", 14)
            o = put_bytes(o, data + self.agent_at, self.agent_size)
            self.agent_at = <short>(o - begin - self.agent_size)
        if self.referer_at >= 0:
            o = put_bytes(o, b"\r\nReferer: ", 11)
            o = put_bytes(o, data + self.referer_at, self.referer_size)
            self.referer_at = <short>(o - begin - self.referer_size)
        if self.id_at >= 0:
            o = put_bytes(o, b"\r\nX-Request-Id: ", 16)
            o = put_bytes(o, data + self.id_at, self.id_size)
            self.id_at = <short>(o - begin - self.id_size)
        if self.trace_at:
            o = put_bytes(o, b"\r\ntraceparent: ", 15)
            o = put_bytes(o, data + self.trace_at, TRACE_SIZE)
            self.trace_at = <short>(o - begin - TRACE_SIZE)
        o = put_bytes(o, b"\r\n\r\n", 4)
        self.head_size = <short>(o - begin)
        self.key_at = -1
        self.data = PyBytes_FromStringAndSize(<const char *>begin, o - begin)
        return 0

    cdef int forget(self) except -1:
        """It is no longer here."""
        self.way = None
        self.data = None
        self.behind = None
        self.tunnel = None
        self.origin = None
        self.earlier = None
        return 0

    cdef u8 *put_id(self, u8 *o):
        """Write its id."""
        if self.id_at >= 0:
            return put_bytes(o, PyBytes_AS_STRING(self.data) + self.id_at, self.id_size)
        o = put_bytes(o, PyBytes_AS_STRING(self.prefix), PyBytes_GET_SIZE(self.prefix))
        return put_hex8(o, self.id)

    cdef bint reread(self, ClientInfo told, Head *head) except -1:
        """Take its head apart again, with what the guest is told of its trace. It was accepted: the
        operator may allow less by now."""
        cdef const u8 *data = <const u8 *>PyBytes_AS_STRING(self.data)
        if scan(data, PyBytes_GET_SIZE(self.data), &WIDEST, told.trusted, head) != GOOD:
            return False
        if self.traceparent is not None:
            add_traceparent(head, self.traceparent)
        return True

    cdef bytes frame(self, FastContext path, ClientInfo told):
        """Its frame, as it was sent, but for its body."""
        cdef Head head
        cdef const u8 *data = <const u8 *>PyBytes_AS_STRING(self.data)
        cdef const Sender *sender = &told.sender
        cdef u8 id[256]
        cdef int id_size = <int>(self.put_id(id) - id)
        cdef Py_ssize_t size
        cdef u8 *end
        cdef u8 *at
        if not self.reread(told, &head):
            raise ValueError("this is not the request that was sent")
        if self.origin is not None:
            # By whom was believed then.
            sender = &self.origin.sender
        size = room(&head, sender, id_size, 0)
        if self.traceparent is not None:
            size += ROOM
        end = path.room(size) + path.scratch_size
        at = encode(
            end, data, &head, sender, self.number, id, id_size, data, 0, NULL, 0, NULL, 0, NULL, 0,
        )
        return PyBytes_FromStringAndSize(<const char *>at, end - at)

    cdef int log(
        self, FastLogBuffer lines, bytes member, int status, Py_ssize_t sent, double guest,
        double first, double seconds,
    ) except -1:
        """Write its line of the access log; see C{LogLine} for the times."""
        cdef const u8 *data = <const u8 *>PyBytes_AS_STRING(self.data)
        cdef bytes date = lines.today()
        cdef RouteEntry way = self.way
        cdef LogLine line
        cdef u8 id[256]
        cdef u8 *o
        line.date = text(date)
        line.client = text(self.client)
        line.line.at = data
        line.line.size = self.line_size
        line.method_size = self.method_size
        line.http2 = self.http2
        line.host = text(way.host)
        line.referer.at = data + self.referer_at if self.referer_at >= 0 else NULL
        line.referer.size = self.referer_size
        line.agent.at = data + self.agent_at if self.agent_at >= 0 else NULL
        line.agent.size = self.agent_size
        line.id.at = id
        line.id.size = self.put_id(id) - id
        line.route = text(way.name)
        line.member = text(member)
        line.status = status
        line.sent = sent
        line.queued = self.queued
        if self.earlier is not None:
            guest += <double>self.earlier.guest
            line.attempts = 1 + len(self.earlier.taken_from)
        else:
            line.attempts = 1
        line.guest = guest
        line.first = first
        line.seconds = seconds
        if self.traceparent is not None:
            line.trace.at = <const u8 *>PyBytes_AS_STRING(self.traceparent) + TRACE_AT
        else:
            line.trace.at = data + self.trace_at if self.trace_at else NULL
        line.trace.size = TRACE_SIZE
        if (self.queued > 0.0 or self.earlier is not None) and lines.log.recent is not None:
            lines.log.recent.remember(
                PyBytes_FromStringAndSize(<const char *>id, line.id.size),
                detour(
                    way.raw_host, line.attempts, self.queued, guest, self.trace,
                    () if self.earlier is None else self.earlier.taken_from,
                ),
            )
        o = lines.reserve(room_for_line(&line))
        lines.wrote(json_line(o, &line) if lines.json else combined(o, &line))
        return 0


cdef inline Text text(bytes value) noexcept:
    cdef Text found
    found.at = <const u8 *>PyBytes_AS_STRING(value)
    found.size = PyBytes_GET_SIZE(value)
    return found
