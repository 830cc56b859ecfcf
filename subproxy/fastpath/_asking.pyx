# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""A client whose request is given to a guest: whom, and what that is told.

What is asked in HTTP/1.1 and what in HTTP/2 differs by what C{ClientInfo} says of the client.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._fast_client cimport FastClient
from subproxy.fastpath._client_info cimport ClientInfo, ClientOrigin
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._pending cimport PendingRequest, acceptable
from subproxy.fastpath._request_frame cimport Sender, encode, room
from subproxy.fastpath._request_head cimport Field, Head
from subproxy.fastpath._route_cache cimport RouteCache, RouteEntry
from subproxy.fastpath._slots cimport get, slot
from subproxy.fastpath._tables cimport SENT_FOR, SENT_ID
from subproxy.fastpath._trace_field cimport ROOM, add_traceparent, find_trace

from subproxy.core.balancing.member import Member
from subproxy.fastpath import shared_channel as _shared_channel
from subproxy.subscription import channel as _channel

cdef type PythonChannel = _shared_channel.SharedChannel
cdef Py_ssize_t MEMBER_CHANNEL = slot(Member, "channel")
cdef Py_ssize_t CHANNEL_FAST = slot(PythonChannel, "fast")
cdef Py_ssize_t CHANNEL_CONGESTED = slot(_channel.Channel, "congested")


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

    cdef bint prepare(
        self, const u8 *data, Head *head, Py_ssize_t body, RouteEntry way, bint apart=False
    ) except -1:
        """Make the frame of a request, of which C{body} bytes lie behind its head, or go over a
        data connection, or are to be sent behind the frame (C{apart}); for whom is chosen now.
        False, and nothing has happened, if that is not for here."""
        cdef FastContext path = self.path
        cdef RouteCache chooser = path.chooser
        cdef PendingRequest asked = self.asked
        cdef FastChannel channel
        cdef ClientInfo told = self.told
        cdef ClientOrigin origin
        cdef const Sender *sender = &told.sender
        cdef Py_ssize_t frame_size
        cdef const Field *field
        cdef const u8 *given
        cdef bytes client
        cdef u8 id[256]
        cdef int id_size, found
        cdef u8 *end
        cdef u8 *at
        cdef uint64_t number
        cdef bint large = body > path.most_inline
        cdef bytes token = None
        member = chooser.choose(way.pool)
        if member is None:
            return False
        python_channel = get(member, MEMBER_CHANNEL)
        if type(python_channel) is not PythonChannel:
            return False
        channel = get(python_channel, CHANNEL_FAST)
        if channel is None or not channel.open:
            return False
        if not 0 < channel.least_bulk <= body if large else body > channel.inline:
            return False
        number = channel.last + 1
        client = told.address
        asked.id_at = -1
        asked.origin = None
        id_size = <int>PyBytes_GET_SIZE(path.prefix) + 20
        if id_size > 200:
            return False
        if told.trusted:
            asked.origin = origin = told.origin(head)
            client = origin.client
            sender = &origin.sender
            field = &head.sent[SENT_ID - SENT_FOR]
            if field.name != NULL and acceptable(field):
                asked.id_at = <short>(field.value - data)
                asked.id_size = <short>field.value_size
                id_size = max(id_size, field.value_size)
        frame_size = room(head, sender, id_size, 0 if large or apart else body)
        asked.traceparent = None
        asked.trace_at = 0
        if path.traces is not None:
            found = find_trace(data, head)
            if found < 0:
                return False
            asked.trace_at = <short>found
            frame_size += ROOM
        if frame_size + (body if apart else 0) > channel.most:
            return False
        if large:
            token = self.promise(channel, number, body)
            if token is None:
                return False
        asked.tunnel = None
        if head.websocket:
            if way.rules is not None:
                return False
            asked.tunnel = channel.tunnels.ask()
            if asked.tunnel is None:
                return False
        end = path.frame_end(frame_size)
        # The last thing that could fail is behind us: no id is wasted.
        if asked.id_at < 0:
            asked.id = path.next_id()
            id_size = <int>(asked.put_id(id) - id)
            given = <const u8 *>id
        else:
            id_size = asked.id_size
            given = data + asked.id_at
        if path.traces is not None and not asked.trace_at:
            asked.traceparent = path.traces.make()
            add_traceparent(head, asked.traceparent)
        at = encode(
            end, data, head, sender, number, given, id_size,
            NULL if apart else data + head.size, body,
            NULL if token is None else <const u8 *>PyBytes_AS_STRING(token),
            0 if token is None else <int>PyBytes_GET_SIZE(token),
            NULL if asked.tunnel is None else <const u8 *>PyBytes_AS_STRING(asked.tunnel),
            0 if asked.tunnel is None else <int>PyBytes_GET_SIZE(asked.tunnel),
        )
        asked.client = client
        asked.way = way
        asked.number = number
        self.channel = channel
        path.frame = at
        path.frame_size = end - at
        return True

    cdef int ask(self, bytes behind=None) except -1:
        """Send what was prepared, and what is to go behind it: it may be answered before this
        returns."""
        cdef FastChannel channel = self.channel
        cdef PendingRequest asked = self.asked
        cdef FastContext path = self.path
        path.chooser.charge(channel.member, asked.way.pool)
        channel.begin(
            self, asked.number, path.frame, path.frame_size,
            get(channel.channel, CHANNEL_CONGESTED) is not False, behind,
        )
        return 0
