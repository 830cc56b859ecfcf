# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""What of a connection the Python path takes over, and how it is put in its place.

Which objects of the Python path come of it is in C{subproxy.fastpath.fallback}.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp

from twisted.internet.interfaces import ITCPTransport

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._asking cimport AskingClient
from subproxy.fastpath._guest_tunnels cimport GuestTunnels

from dataclasses import replace

from subproxy.core.http.normalise import normalise_host
from subproxy.fastpath import body_fallback as body_handover
from subproxy.fastpath import fallback as handover
from subproxy.fastpath import tunnel_fallback as tunnel_handover


cdef class ReplaceableConnection(AskingClient):
    """A connection of a client, in whose place an C{Http1Protocol} can be put at any time."""

    @property
    def factory(self):
        """The factory of the connection, as with every protocol."""
        return self.path.factory

    @property
    def peer(self):
        """What is known of the client, if anybody asked."""
        if self.told is None:
            return None
        return self.told.peer if self.tls is None else replace(self.told.peer, tls=self.tls)

    @property
    def close_reason(self):
        """Why it closed, or closes: see C{ClientConnection}."""
        return self.closed_for if self.slow is None else self.slow.close_reason

    cdef bint in_scope(self, const u8 *name, Py_ssize_t size) except -1:
        """Whether that host may be asked for on this connection, as C{ClientTls} has it: mostly it
        is the one before."""
        cdef bytes before = self.asked_before
        if self.tls is None:
            return True
        if (
            before is not None and PyBytes_GET_SIZE(before) == size
            and memcmp(PyBytes_AS_STRING(before), name, size) == 0
        ):
            return True
        host = PyBytes_FromStringAndSize(<const char *>name, size)
        if not self.tls.serves(normalise_host(host)):
            return False
        self.asked_before = host
        return True

    cdef int decline(self, const u8 *data, Py_ssize_t size) except -1:
        """These bytes, which begin a request, are for the Python path."""
        self.path.declined_requests += 1
        self.to_slow()
        self.slow.dataReceived(PyBytes_FromStringAndSize(<const char *>data, size))
        return 0

    cdef int become(self, object slow) except -1:
        self.slow = slow
        self.stage = SLOW
        if not self.undelayed:
            self.undelayed = True
            if ITCPTransport.providedBy(self.transport):
                self.transport.setTcpNoDelay(True)
        return 0

    cdef int to_slow(self) except -1:
        """Give the connection to an C{Http1Protocol}, whatever stage it is in."""
        cdef double deadline
        if self.stage == IDLE:
            self.become(handover.idle(self))
        elif self.stage == PARTIAL:
            deadline = self.deadline
            rest, self.rest = self.rest, None
            self.become(handover.idle(self))
            handover.partial(self.slow, rest, deadline)
        elif self.stage == GATHERING:
            came = self.gathering.all()
            self.gathering.head = self.gathering.data = None
            self.become(handover.idle(self))
            handover.gathering(self.slow, came, self.started)
        elif self.stage == QUEUED:
            self.path.declined_requests += 1
            ticket, self.ticket = self.ticket, None
            self.become(handover.queued(self, ticket))
            self.forget()
        elif UPLOADING <= self.stage <= TUNNEL:
            self.give_up()
        elif self.stage == CLOSING:
            self.become(handover.closing(self))
        return 0

    def as_exchange(self):
        """See C{subproxy.core.waiting_request.WaitingRequest}."""
        ticket = self.ticket
        self.to_slow()
        return ticket.exchange

    def waits(self, ticket):
        """Likewise."""
        self.ticket = ticket

    def goes_to(self, member):
        """Likewise."""
        return self.turn_came(member)

    cdef int give_up(self) except -1:
        """See C{FastClient}: the exchange goes on there, with its connection."""
        cdef int stage = self.stage
        if not UPLOADING <= stage <= TUNNEL:
            return 0
        if stage != TUNNEL:
            self.path.declined_answers += 1
        self.channel.drop(self.asked.number)
        self.channel.tell()
        if self.asked.tunnel is not None:
            self.channel.tunnels.count -= 1
            slow = tunnel_handover.begun(self) if stage == TUNNEL else tunnel_handover.asked(self)
        elif stage == UPLOADING:
            slow = body_handover.uploading(self)
            self.upload = None
        elif stage == DOWNLOADING:
            slow = body_handover.downloading(self)
            self.download = None
        else:
            slow = handover.waiting(self)
            self.download = None
        self.become(slow)
        return self.forget()

    cdef int upload_over(self) except -1:
        """All of the request's body has gone to the guest, and its C{end}."""
        raise NotImplementedError

    cdef int download_over(self, object download) except -1:
        """All of the answer's body has gone to the client, and its C{end} has come."""
        raise NotImplementedError

    cdef int unexpected(self) except -1:
        """If a token for the answer's body went with the request, that is not of use."""
        raise NotImplementedError

    cdef int forget(self) except -1:
        """Nothing is kept of a request that is no longer here."""
        self.asked.forget()
        self.channel = None
        self.rest = None
        self.paused = False
        return 0
