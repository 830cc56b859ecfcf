# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""A client's connection that becomes a WebSocket: from its guest's answer until anything is not plain.

Plain is a handshake of HTTP/1.1 as RFC 6455 has it, which its guest accepts, and then bytes both ways, in frames
and within credit. All else Python does: a half that ends, a side that leaves, much for a data connection.
See C{subproxy.fastpath.tunnel_fallback}.

The same in Python: C{subproxy.frontend.client_tunnel}, C{subproxy.frontend.client_stream},
C{subproxy.wire.credit} and C{subproxy.subscription.tunnel_request} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from subproxy.fastpath._answering_connection cimport AnsweringConnection
from subproxy.fastpath._body_frames cimport body_frame, credit_frame
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._fallback cimport TUNNEL
from subproxy.fastpath._fast_tunnel cimport FastTunnel
from subproxy.fastpath._guest_tunnels cimport GuestTunnels
from subproxy.fastpath._pending cimport PendingRequest
from subproxy.fastpath._response cimport Answer, write_switch

from subproxy.core.http.upgrade import websocket_accept


cdef class TunnellingConnection(AnsweringConnection):
    """See above."""

    cdef int begin_tunnel(self, Answer *answer) except -1:
        cdef FastContext path = self.path
        cdef FastChannel channel = self.channel
        cdef PendingRequest asked = self.asked
        cdef FastTunnel tunnel
        cdef bytes protocol = asked.tunnel
        cdef bytes accept
        cdef double now
        cdef u8 id[256]
        cdef int id_size
        cdef u8 *begin
        cdef u8 *end
        if not answer.streamed or answer.status >= 300 or not self.writable:
            return 0
        if self.paused or self.rest is not None:
            # Who did not wait for the answer is sent away (RFC 9931).
            return 0
        accept = websocket_accept(asked.websocket_key())
        id_size = <int>(asked.put_id(id) - id)
        begin = path.room(answer.fields_size + 4 * answer.kept + 1024)
        end = write_switch(
            begin, answer, <const u8 *>PyBytes_AS_STRING(protocol), PyBytes_GET_SIZE(protocol),
            <const u8 *>PyBytes_AS_STRING(accept), PyBytes_GET_SIZE(accept), id, id_size,
        )
        data = PyBytes_FromStringAndSize(<const char *>begin, end - begin)
        now = path.now()
        self.tunnel = tunnel = FastTunnel.__new__(FastTunnel)
        tunnel.open(channel.tunnels.window, now)
        channel.keep_tunnel(self, asked.number)
        self.stage = TUNNEL
        self.due = self.deadline = now + path.tunnel_idle
        asked.shorten(path, self.told)
        path.tunnels += 1
        self.write(data)
        # It may last, and is no load that its guest is judged by.
        path.chooser.release(channel.member)
        return 1

    cdef bint to_guest(self, const u8 *data, Py_ssize_t size) except -1:
        """Pass on what came from the client; false, and nothing was done, if that is not for here."""
        cdef FastContext path = self.path
        cdef FastChannel channel = self.channel
        cdef GuestTunnels tunnels = channel.tunnels
        if size > tunnels.chunk or not channel.open or channel.congested():
            return False
        if not self.tunnel.may_send(size, tunnels.weighty, tunnels.most):
            return False
        path.tunnelled += 1
        self.due = path.now() + path.tunnel_idle
        channel.say(body_frame(self.asked.number, data, size))
        return True

    cdef bint body_came(self, const u8 *data, Py_ssize_t size) except -1:
        cdef FastContext path = self.path
        cdef GuestTunnels tunnels = self.channel.tunnels
        cdef FastTunnel tunnel = self.tunnel
        if self.stage != TUNNEL or not self.writable or self.transport is None:
            return False
        if not tunnel.may_take(size, tunnels.weighty, tunnels.most):
            return False
        path.tunnelled += 1
        self.due = path.now() + path.tunnel_idle
        tunnel.taken(size, tunnels.weighty)
        if not self.undelayed:
            # Its head alone was not delayed; of what follows nothing is to be.
            self.undelay()
        self.write(PyBytes_FromStringAndSize(<const char *>data, size))
        if self.writable:
            self.drained()
        return True

    cdef int drained(self) except -1:
        """All that was written has left, or soon will: the guest may send as much again."""
        cdef FastChannel channel = self.channel
        cdef long grant
        if self.stage != TUNNEL:
            return 0
        grant = self.tunnel.left_for_client(channel.tunnels.window)
        if grant:
            channel.say(credit_frame(self.asked.number, grant))
        return 0

    cdef bint granted(self, int64_t amount) except -1:
        if self.stage != TUNNEL or not self.tunnel.granted(amount):
            return False
        if self.paused and not self.channel.congested():
            self.listen(True)
        return True

    cdef int hold_up(self, bint congested) except -1:
        if self.stage == TUNNEL and congested != self.paused and (congested or self.tunnel.available):
            self.listen(not congested)
        return 0

    cdef int listen(self, bint on) except -1:
        """Read from the client again, or no more."""
        self.paused = not on
        if on:
            self.transport.resumeProducing()
        else:
            # Who is not read from is not heard leaving: the sweeper looks.
            self.deadline = 0.0
            self.transport.pauseProducing()
        return 0

    cdef int forget(self) except -1:
        self.tunnel = None
        return AnsweringConnection.forget(self)
