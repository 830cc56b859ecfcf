# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The client's side of the compiled path.

A C{FastConnection} is the protocol of one connection of a client. A plain request goes from it to
the guest, and a plain answer back, without an object for either. As soon as anything is
not plain, an C{Http1Protocol} is put in its place (see C{subproxy.fastpath.fallback}) with the same bytes,
or with the request that a guest already has. That gives the connection back when it is at rest.

Of a request that is taken from its guest the same in Python: C{subproxy.core.dispatcher} and
C{subproxy.core.exchange} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.set cimport PySet_Size
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IPushProducer
from zope.interface import classImplements

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._client_tunnel cimport pass_to_guest
from subproxy.fastpath._http2_connection cimport (
    FastHttp2Connection, begins_http2, take_over,
)
from subproxy.fastpath._route_cache cimport RouteEntry
from subproxy.fastpath._body_assembly cimport BodyAssembly
from subproxy.fastpath._request_head cimport GOOD, PARTIAL_HEAD, Head, scan
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._tunnelling_connection cimport TunnellingConnection
from subproxy.fastpath._download cimport FastDownload
from subproxy.fastpath._pending cimport PendingRequest
from subproxy.fastpath._upload cimport FastUpload
from subproxy.fastpath._fallback cimport (
    CLOSING, DOWNLOADING, GATHERING, IDLE, OVER, PARTIAL, QUEUED, SLOW, TUNNEL, UPLOADING, WAITING,
)
from subproxy.reactor._receive cimport MOST
from subproxy.reactor._stream cimport Stream

from subproxy.core.balancing.admission import USUAL, Ticket
from subproxy.fastpath import fallback as handover
from subproxy.fastpath.earlier_attempts import FIRST
from subproxy.frontend.hangup import Hangup, hangup
from subproxy.frontend.limits import WRITE_BUFFER
from subproxy.frontend.tcp_info import waits_for_peer
from subproxy.telemetry.close_reason import CloseReason

cdef enum:
    MOST_PARTIAL = 8192  # bytes of a head in more than one read, above which Python has it
    LEAST_OFFERED = 4096  # bytes of a body still to come that are worth a receive of their own
    PART = 16384  # bytes that are received at once behind a head whose body is still to come

cdef double NEVER = float("inf")


cdef class FastPath(FastContext):
    """The compiled path of one frontend: makes what stands on either side of it."""

    def front(self, bint http2=False, bint prior=True):
        """The protocol for a new connection of a client, which has agreed upon HTTP/2, or not; in
        which case it may begin with its C{prior} knowledge that we speak that, or not."""
        cdef FastConnection front = FastConnection.__new__(FastConnection)
        front.path = self
        front.asked = PendingRequest.__new__(PendingRequest)
        front.asked.prefix = self.prefix
        front.writable = True
        front.deadline = front.due = NEVER
        front.agreed = http2
        front.prior = prior and self.http2
        return front

    def stats(self):
        """How many requests were answered here, or left to Python, and when; how many tunnels began, and pieces
        of such and of streamed answers passed; of how many clients is remembered what trusted peers said."""
        return {
            "requests": self.answered,
            "declined_requests": self.declined_requests,
            "declined_answers": self.declined_answers,
            "tunnels": self.tunnels,
            "tunnelled": self.tunnelled,
            "streamed": self.streamed,
            "remembered_origins": len(self.clients.origins),
        }


cdef class FastConnection(TunnellingConnection):
    """One connection of a client. Made by C{FastPath.front}."""

    # What the rest of the frontend sees.

    def tell(self, host, secure, tls=None):
        """Who the client is, by the word of a proxy: see C{Http1Protocol.tell}."""
        self.told = self.path.clients.at(host, secure)
        self.tls = tls

    @property
    def busy(self):
        """A request is under way."""
        return GATHERING <= self.stage <= TUNNEL

    def close_if_idle(self):
        """Close the connection if no request is under way; else it closes behind its answer."""
        if self.stage == IDLE:
            self.to_slow()
            self.slow.close_if_idle()

    def abort(self):
        """Close at once, with a reset."""
        if self.stage == CLOSING:
            # As on the Python path, the first reason stays: its last answer is on its way.
            self.stage = OVER
            self.transport.abortConnection()
        elif self.stage != OVER:
            self.to_slow()
            self.slow.abort()

    def deadline_passed(self, now):
        """The sweeper looks: who took too long?"""
        if self.stage == IDLE and now < self.due and not waits_for_peer(self.transport):
            # Its last answer was taken.
            self.deadline = self.due
            return
        if self.stage == TUNNEL and now < self.due:
            if not self.paused:
                self.deadline = self.due
                return
            if hangup(self.transport) is Hangup.NONE:
                return
        if (
            (self.stage == WAITING or self.stage == QUEUED) and self.paused and now < self.due
            and hangup(self.transport) is Hangup.NONE
        ):
            return
        if (
            self.stage == DOWNLOADING and not (<FastDownload>self.download).stalled
            and not (self.paused and hangup(self.transport) is not Hangup.NONE)
        ):
            return
        if (
            self.stage == UPLOADING and now < self.due
            and ((<FastUpload>self.upload).watch is None or not (<FastUpload>self.upload).slow())
            and hangup(self.transport) is Hangup.NONE
        ):
            return
        self.to_slow()
        if self.slow is not None:
            self.slow.deadline_passed(now)

    def take_back(self, requests, due, deadline):
        """The connection is at rest: the next request may be one for here."""
        self.slow = None
        self.requests = requests
        self.due = due
        self.deadline = deadline
        self.stage = IDLE
        self.path.connections.add(self)

    # IProtocol and IHalfCloseableProtocol.

    def makeConnection(self, transport):
        """A client connected."""
        cdef FastContext path = self.path
        self.transport = transport
        if path.most_connections and PySet_Size(path.connections) >= path.most_connections:
            self.stage = OVER
            self.closed_for = CloseReason.TOO_MANY
            transport.abortConnection()
            return
        if isinstance(transport, Stream) and not (<Stream>transport).TLS:
            self.stream = <Stream>transport
        else:
            self.tls = getattr(transport, "tls", None)
        path.connections.add(self)
        transport.bufferSize = WRITE_BUFFER
        transport.registerProducer(self, True)
        self.deadline = self.due = path.now() + path.keepalive_timeout
        if self.agreed:
            if self.told is None:
                self.told = path.clients.of(transport)
            self.to_http2(NULL, 0)

    def dataReceived(self, bytes data):
        """Bytes came from the client."""
        self.take(<const u8 *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef int received(self, char *data, Py_ssize_t size) except -1:
        data[size] = 0
        return self.take(<const u8 *>data, size)

    def readConnectionLost(self):
        """The client will send no more."""
        if self.stage == CLOSING or self.stage == OVER:
            return
        self.to_slow()
        self.slow.readConnectionLost()

    def writeConnectionLost(self):
        """Our own half of the connection is closed."""

    def connectionLost(self, reason):
        """The client is gone, or was sent away."""
        cdef int stage
        self.undelayed = True
        if self.stage == PARTIAL or QUEUED <= self.stage <= TUNNEL:
            self.to_slow()
        if self.sink is not None:
            self.sink.closed()
            self.sink = None
        self.download = self.upload = None
        stage = self.stage
        self.stage = OVER
        if stage == SLOW:
            slow, self.slow = self.slow, None
            slow.connectionLost(reason)
            self.closed_for = slow.close_reason
        else:
            if self.closed_for is None:
                self.closed_for = CloseReason.CLIENT_CLOSED
            self.path.factory.closed(self)
        self.deadline = NEVER
        self.transport = None
        self.stream = None

    # IPushProducer: the transport speaks.

    def pauseProducing(self):
        """The client does not take what is written."""
        self.writable = False
        if self.stage == SLOW:
            self.slow.pauseProducing()

    def resumeProducing(self):
        """All that was written has left."""
        self.writable = True
        if self.stage == SLOW:
            self.slow.resumeProducing()
        elif self.stage == TUNNEL:
            self.drained()
        elif self.sink is not None:
            self.sink.left()

    def stopProducing(self):
        """The transport is gone; connectionLost follows."""
        self.writable = False
        if self.stage == SLOW:
            self.slow.stopProducing()

    # Requests come.

    cdef int take(self, const u8 *data, Py_ssize_t size) except -1:
        cdef Head head
        cdef int found
        if self.told is None:
            self.told = self.path.clients.of(self.transport)
        if self.stage == IDLE:
            found = scan(data, size, &self.path.bounds, self.told.trusted, &head)
            if found == GOOD and self.begin(data, size, &head):
                return 0
            if found == PARTIAL_HEAD and size < MOST_PARTIAL:
                self.rest = PyBytes_FromStringAndSize(<const char *>data, size)
                self.stage = PARTIAL
                self.deadline = self.due = self.path.now() + self.path.header_timeout
                return 0
            if self.prior and not self.requests and begins_http2(data, size):
                return self.to_http2(data, size)
            return self.decline(data, size)
        if self.stage == WAITING or self.stage == DOWNLOADING or self.stage == QUEUED:
            more = PyBytes_FromStringAndSize(<const char *>data, size)
            self.rest = more if self.rest is None else self.rest + more
            if not self.paused:
                self.paused = True
                # Who is not read from is not heard leaving: the sweeper looks.
                self.deadline = 0.0
                self.transport.pauseProducing()
        elif self.stage == TUNNEL:
            if not self.to_guest(data, size):
                self.to_slow()
                self.slow.dataReceived(PyBytes_FromStringAndSize(<const char *>data, size))
        elif self.stage == SLOW:
            if self.http2 is not None:
                return self.http2.feed(data, size)
            tunnel = self.slow.tunnel
            if tunnel is not None and pass_to_guest(self.path, self.slow, tunnel, data, size):
                return 0
            self.slow.dataReceived(PyBytes_FromStringAndSize(<const char *>data, size))
        elif self.stage == UPLOADING:
            (<FastUpload>self.upload).more(PyBytes_FromStringAndSize(<const char *>data, size))
        elif self.stage == PARTIAL:
            more = PyBytes_FromStringAndSize(<const char *>data, size)
            joined = self.rest + more
            data = <const u8 *>PyBytes_AS_STRING(joined)
            size = PyBytes_GET_SIZE(joined)
            found = scan(data, size, &self.path.bounds, self.told.trusted, &head)
            if found == GOOD:
                rest, self.rest = self.rest, None
                if self.begin(data, size, &head):
                    return 0
                self.rest = rest
            elif found == PARTIAL_HEAD and size < MOST_PARTIAL:
                self.rest = joined
                return 0
            elif self.prior and not self.requests and begins_http2(data, size):
                self.rest = None
                return self.to_http2(data, size)
            self.to_slow()
            self.slow.dataReceived(more)
        elif self.stage == GATHERING:
            self.gather_more(data, size)
        return 0

    cdef int to_http2(self, const u8 *data, Py_ssize_t size) except -1:
        """The client speaks HTTP/2, as it knew that we do: serve it so from now on."""
        self.http2 = take_over(self, self.path, self.transport, self.told)
        self.become(self.http2.shell)
        return self.http2.feed(data, size)

    cdef int gather(self, const u8 *data, Py_ssize_t size, const Head *head) except -1:
        """Wait for the rest of a body that is to ride in its frame."""
        if self.gathering is None:
            self.gathering = BodyAssembly.__new__(BodyAssembly)
        self.gathering.start(data, head.size, data + head.size, size - head.size, head.length)
        self.offer()
        self.stage = GATHERING
        self.started = self.path.now()
        self.due = NEVER
        # A body that is not there by the next sweep has its pace looked at, which Python does.
        self.deadline = 0.0
        return 0

    cdef int offer(self) except -1:
        """What is still to come may be received where it is gathered, if it is much; and no more
        where it was to be before this."""
        cdef BodyAssembly gathering = self.gathering
        cdef Py_ssize_t spare = gathering.spare()
        if self.stream is not None:
            if spare >= LEAST_OFFERED:
                self.stream.offer(gathering.data, gathering.filled, spare)
            else:
                self.stream.offer(None, 0, 0)
        return 0

    cdef int to_slow(self) except -1:
        if self.stage == GATHERING and self.stream is not None:
            # The room for its body is wanted no more, and a receive that goes on may never end.
            self.stream.offer(None, 0, 0)
        return TunnellingConnection.to_slow(self)

    cdef int gather_more(self, const u8 *data, Py_ssize_t size) except -1:
        """More of a body that is gathered."""
        cdef Head head
        cdef BodyAssembly gathering = self.gathering
        cdef Py_ssize_t part = gathering.add(data, size)
        cdef u8 *text = <u8 *>PyBytes_AS_STRING(gathering.head)
        cdef Py_ssize_t text_size = PyBytes_GET_SIZE(gathering.head)
        self.offer()
        if gathering.filled < gathering.length:
            return 0
        if (
            scan(text, text_size, &self.path.bounds, self.told.trusted, &head) == GOOD
            and self.begin(text, text_size, &head, gathering.behind())
        ):
            gathering.head = gathering.data = None
            if part == size:
                return 0
            data += part
            size -= part
            if self.stage == WAITING or self.stage == QUEUED:
                self.rest = PyBytes_FromStringAndSize(<const char *>data, size)
                return 0
        else:
            # Python has what is new behind what was held.
            gathering.filled -= part
            self.path.declined_requests += 1
            self.to_slow()
        if self.stage == SLOW:
            self.slow.dataReceived(PyBytes_FromStringAndSize(<const char *>data, size))
        return 0

    cdef bint begin(self, const u8 *data, Py_ssize_t size, Head *head, bytes behind=None) except -1:
        """Send a request on, or wait for its body, unless that was gathered, and is to go C{behind}
        its frame. False, and nothing has happened, if that is not for here."""
        cdef FastContext path = self.path
        cdef PendingRequest asked = self.asked
        cdef RouteEntry way
        cdef Py_ssize_t body = head.length if head.length > 0 else 0
        cdef Py_ssize_t whole = head.size + body
        cdef double now
        cdef bint large = body > path.most_inline
        if not self.writable or (
            large and (whole <= size or behind is not None or 0 < path.most_body < body)
        ):
            return False
        if not self.in_scope(head.host, head.host_size):
            return False
        # What will not be sent on is refused now, not when its body is here.
        way = path.chooser.route(head.host, head.host_size, head.target, head.path_size)
        if (
            way is None or body > way.most_body
            or way.asks(self.told.trusted, self.told.scheme, self.tls)
        ):
            return False
        if self.stream is not None:
            # Of a body that is to be lent, or that is gathered, no more than one buffer is copied.
            self.stream.most = PART if whole > size else MOST
        if whole > size and not large and behind is None:
            self.gather(data, size, head)
            return True
        member = path.chooser.choose(way.pool)
        if member is None:
            if large or head.websocket or not self.know(data, head):
                return False
            self.ticket = path.chooser.wait(self, way.pool, way.queue_timeout, path.now())
            if self.ticket is None:
                return False
            path.chooser.count(way.pool)
            self.give_id(head)
            asked.way = way
            asked.number = 0
        elif not self.prepare(member, data, head, body, way, behind is not None):
            return False
        if self.requests == 1 and not self.undelayed:
            # One answer alone is never delayed: who makes one request needs no system call for it.
            self.undelay()
        self.given = now = path.now()
        if behind is not None:
            asked.keep(self.gathering.head, data, head, behind)
            whole = size
        else:
            self.started = now
            asked.keep(
                PyBytes_FromStringAndSize(<const char *>data, head.size if large else whole),
                data, head,
            )
        self.requests += 1
        self.rest = None if whole == size or large else PyBytes_FromStringAndSize(
            <const char *>data + whole, size - whole
        )
        self.stage = WAITING
        self.deadline = self.due = now + self.patience()
        if self.ticket is not None:
            self.stage = QUEUED
            return True
        if large:
            self.stage = UPLOADING
            self.deadline = 0.0
            self.ask()
            (<FastUpload>self.upload).hold(
                PyBytes_FromStringAndSize(<const char *>data + head.size, size - head.size)
            )
            return True
        self.ask(behind)
        return True

    cdef bint turn_came(self, object member) except -1:
        cdef Head head
        cdef PendingRequest asked = self.asked
        cdef double now
        if not asked.reread(self.told, &head) or not self.make_frame(
            member, <const u8 *>PyBytes_AS_STRING(asked.data), &head, asked.received, asked.way,
            asked.behind is not None, False,
        ):
            return False
        self.given = now = self.path.now()
        asked.queued += now - <double>self.ticket.arrived
        self.ticket = None
        self.stage = WAITING
        self.send(asked.behind)
        return True

    cdef bint failed(self, object error) except -1:
        cdef FastContext path = self.path
        cdef PendingRequest asked = self.asked
        cdef FastChannel channel = self.channel
        cdef double now
        if self.stage != WAITING or asked.tunnel is not None or asked.streamed:
            return False
        dispatcher = path.chooser.dispatcher
        pool, rules, member = asked.way.pool, asked.way.rules, channel.member
        earlier = FIRST if asked.earlier is None else asked.earlier
        tried = dispatcher.take_back(
            pool, member, error, asked.data[:asked.method_size], len(earlier.taken_from) + 1,
            earlier.tried,
        )
        if tried is None:
            return False
        now = path.now()
        asked.earlier = earlier.and_of(member, tried, now - self.given)
        self.unexpected()
        channel.drop(asked.number)
        self.channel = None
        self.stage = QUEUED
        self.ticket = ticket = Ticket(self, pool, tried, now, now)
        ticket.waiting = False
        path.chooser.release(member)
        dispatcher.submit_again(ticket, USUAL if rules is None else rules.terms)
        return True


classImplements(FastConnection, IProtocol, IHalfCloseableProtocol, IPushProducer)
