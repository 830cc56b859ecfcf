# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""A client whose request is given to a guest: whom, and what that is told.

What is asked in HTTP/1.1 and what in HTTP/2 differs by what C{ClientInfo} says of the client.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._fast_client cimport FastClient
from subproxy.fastpath._client_info cimport ClientInfo
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._pending cimport PendingRequest, acceptable
from subproxy.fastpath._request_frame cimport Sender, encode, room
from subproxy.fastpath._request_head cimport Field, Head
from subproxy.fastpath._route_cache cimport RouteEntry
from subproxy.fastpath._slots cimport get, number as number_of, set_number, slot
from subproxy.fastpath._tables cimport SENT_FOR, SENT_ID
from subproxy.fastpath._trace_field cimport ROOM, add_traceparent, find_trace

from subproxy.core.balancing.member import Member, Pool
from subproxy.fastpath import shared_channel as _shared_channel
from subproxy.subscription import channel as _channel
from subproxy.subscription.upstream_request import AHEAD

cdef type PythonChannel = _shared_channel.SharedChannel
cdef Py_ssize_t MEMBER_CHANNEL = slot(Member, "channel")
cdef Py_ssize_t CHANNEL_FAST = slot(PythonChannel, "fast")
cdef Py_ssize_t CHANNEL_CONGESTED = slot(_channel.Channel, "congested")
cdef Py_ssize_t POOL_RETRIES = slot(Pool, "retries")
cdef Py_ssize_t CHANNEL_AHEAD = slot(_channel.Channel, "ahead")
cdef long MOST_AHEAD = AHEAD


cdef int answered_over(FastChannel channel, bint data_connection) except -1:
    """An answer goes over a data connection, or not: what is to be expected of the next ones."""
    cdef long before = number_of(channel.channel, CHANNEL_AHEAD)
    if data_connection:
        if before != MOST_AHEAD and channel.ahead:
            set_number(channel.channel, CHANNEL_AHEAD, MOST_AHEAD)
    elif before:
        set_number(channel.channel, CHANNEL_AHEAD, before - 1)
    return 0


cdef class AskingClient(FastClient):
    """See above. Who derives from it keeps the request, and gets the answer."""

    @property
    def member(self):
        """Who has the request."""
        return self.channel.member

    @property
    def frame(self):
        """The frame of the request that is being answered, as it was sent, but for its body."""
        return self.asked.frame(self.path, self.told)

    cdef bytes promise(self, FastChannel channel, uint64_t number, int64_t length):
        """The token for a body that is to go over a data connection; None if that is not for here."""
        return None

    cdef bytes expect(self, FastChannel channel, uint64_t number):
        """The token for the body of an answer that probably goes over one; None if that is not for here."""
        return None

    cdef bint know(self, const u8 *data, const Head *head) except -1:
        """Read off a request who asks, and what it is to be known by; false if that is not for here."""
        cdef FastContext path = self.path
        cdef PendingRequest asked = self.asked
        cdef ClientInfo told = self.told
        cdef const Field *field
        cdef int found
        asked.id_at = -1
        asked.origin = None
        asked.client = told.address
        asked.traceparent = None
        asked.trace_at = 0
        asked.tunnel = None
        if PyBytes_GET_SIZE(path.prefix) + 20 > 200:
            return False
        if told.trusted:
            asked.origin = told.origin(head)
            asked.client = asked.origin.client
            field = &head.sent[SENT_ID - SENT_FOR]
            if field.name != NULL and acceptable(field):
                asked.id_at = <short>(field.value - data)
                asked.id_size = <short>field.value_size
        if path.traces is not None:
            found = find_trace(data, head)
            if found < 0:
                return False
            asked.trace_at = <short>found
        return True

    cdef int give_id(self, Head *head) except -1:
        """It is taken on: let it have an id, and a trace, if it has brought none."""
        cdef FastContext path = self.path
        cdef PendingRequest asked = self.asked
        if asked.id_at < 0:
            asked.id = path.next_id()
        if path.traces is not None and not asked.trace_at:
            asked.traceparent = path.traces.make()
            add_traceparent(head, asked.traceparent)
        return 0

    cdef bint prepare(
        self, object member, const u8 *data, Head *head, Py_ssize_t body, RouteEntry way,
        bint apart=False
    ) except -1:
        """Make the frame of a request for C{member}, of which C{body} bytes lie behind its head, or go
        over a data connection, or are to be sent behind the frame (C{apart}). False, and nothing has
        happened, if that is not for here."""
        return self.know(data, head) and self.make_frame(member, data, head, body, way, apart, True)

    cdef bint make_frame(
        self, object member, const u8 *data, Head *head, Py_ssize_t body, RouteEntry way,
        bint apart, bint new
    ) except -1:
        """C{prepare}, of a request that is known; unless it is C{new}, it has waited, with its id."""
        cdef FastContext path = self.path
        cdef PendingRequest asked = self.asked
        cdef FastChannel channel
        cdef const Sender *sender = &self.told.sender
        cdef Py_ssize_t frame_size
        cdef const u8 *given
        cdef u8 id[256]
        cdef int id_size
        cdef u8 *end
        cdef u8 *at
        cdef uint64_t number
        # What has waited is here, whole, whatever a reload says by now.
        cdef bint large = new and body > path.most_inline
        cdef bytes token = None
        cdef bytes ahead = None
        python_channel = get(member, MEMBER_CHANNEL)
        if type(python_channel) is not PythonChannel:
            return False
        channel = get(python_channel, CHANNEL_FAST)
        if channel is None or not channel.open:
            return False
        if not 0 < channel.least_bulk <= body if large else body > channel.inline:
            return False
        number = channel.last + 1
        budget = get(way.pool, POOL_RETRIES)
        if way.footprint.fast != <void *>channel or way.footprint.budget != <void *>budget:
            way.footprint.member = <void *>member
            way.footprint.channel = <void *>python_channel
            way.footprint.fast = <void *>channel
            way.footprint.stream = <void *>channel.stream
            way.footprint.share = <void *>channel.share
            way.footprint.budget = <void *>budget
            way.footprint.name = <void *>channel.name
        if asked.origin is not None:
            sender = &asked.origin.sender
        id_size = <int>PyBytes_GET_SIZE(path.prefix) + 20
        if asked.id_at >= 0:
            id_size = max(id_size, asked.id_size)
        frame_size = room(head, sender, id_size, 0 if large or apart else body)
        if path.traces is not None or asked.traceparent is not None:
            frame_size += ROOM
        if frame_size + (body if apart else 0) > channel.most:
            return False
        if large:
            token = self.promise(channel, number, body)
            if token is None:
                return False
        if head.websocket:
            if way.rules is not None:
                return False
            asked.tunnel = channel.tunnels.ask()
            if asked.tunnel is None:
                return False
        elif not body and number_of(channel.channel, CHANNEL_AHEAD) and head.method_size == 3 and data[0] == c"G":
            ahead = self.expect(channel, number)
        end = path.frame_end(frame_size)
        # The last thing that could fail is behind us: no id is wasted.
        if new:
            self.give_id(head)
        if asked.id_at < 0:
            id_size = <int>(asked.put_id(id) - id)
            given = <const u8 *>id
        else:
            id_size = asked.id_size
            given = data + asked.id_at
        at = encode(
            end, data, head, sender, number, given, id_size,
            NULL if apart else data + head.size, body,
            NULL if token is None else <const u8 *>PyBytes_AS_STRING(token),
            0 if token is None else <int>PyBytes_GET_SIZE(token),
            NULL if asked.tunnel is None else <const u8 *>PyBytes_AS_STRING(asked.tunnel),
            0 if asked.tunnel is None else <int>PyBytes_GET_SIZE(asked.tunnel),
            NULL if ahead is None else <const u8 *>PyBytes_AS_STRING(ahead),
            0 if ahead is None else <int>PyBytes_GET_SIZE(ahead),
        )
        asked.way = way
        asked.number = number
        self.channel = channel
        path.frame = at
        path.frame_size = end - at
        return True

    cdef int ask(self, bytes behind=None) except -1:
        """Send what was prepared, and what is to go behind it: it may be answered before this
        returns."""
        self.path.chooser.charge(self.channel.member, self.asked.way.pool)
        return self.send(behind)

    cdef int send(self, bytes behind=None) except -1:
        """C{ask}, where its member was charged with it before."""
        cdef FastChannel channel = self.channel
        cdef PendingRequest asked = self.asked
        cdef FastContext path = self.path
        channel.begin(
            self, asked.number, path.frame, path.frame_size,
            get(channel.channel, CHANNEL_CONGESTED) is not False, behind,
        )
        return 0
