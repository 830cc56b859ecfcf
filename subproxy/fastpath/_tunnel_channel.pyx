# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""What a guest sends through a tunnel that is in frames, to its client.

The tunnel stays the Python path's: see C{_client_tunnel.pyx}. For Python is what is not plain: a client that
does not take what is written, a guest that has no credit, a half that has moved or ended, a client of
HTTP/2 or of another process.

The same in Python: C{subproxy.subscription.channel}, C{subproxy.frontend.client_stream} and
C{subproxy.wire.credit} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytearray cimport PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from subproxy.fastpath._answering_connection cimport AnsweringConnection
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._fallback cimport SLOW
from subproxy.fastpath._slots cimport get, number, set_number, slot

from subproxy.core.exchange import Exchange
from subproxy.fastpath.fallback import FallbackProtocol
from subproxy.frontend.client_stream import ClientStream, ResponseState
from subproxy.frontend.connection import ClientConnection
from subproxy.subscription.tunnel_request import TunnelRequest
from subproxy.subscription.upstream_request import UpstreamRequest
from subproxy.telemetry.log_format import escaped
from subproxy.wire.credit import ReceiveWindow
from subproxy.wire.exchange import WireExchange
from subproxy.wire.states import Half
from subproxy.wire.tunnel import WireTunnel

cdef Py_ssize_t REQUEST_EXCHANGE = slot(UpstreamRequest, "exchange")
cdef Py_ssize_t REQUEST_NUMBER = slot(UpstreamRequest, "number")
cdef Py_ssize_t REQUEST_WEIGHTY = slot(TunnelRequest, "_weighty")
cdef Py_ssize_t EXCHANGE_SINK = slot(Exchange, "sink")
cdef Py_ssize_t EXCHANGE_CARRIER = slot(Exchange, "carrier")
cdef Py_ssize_t EXCHANGE_RECEIVED = slot(Exchange, "received")
cdef Py_ssize_t CONNECTION_WRITABLE = slot(ClientConnection, "writable")
cdef Py_ssize_t PROTOCOL_FRONT = slot(FallbackProtocol, "front")
cdef Py_ssize_t STREAM_CONNECTION = slot(ClientStream, "_connection")
cdef Py_ssize_t STREAM_ANSWER = slot(ClientStream, "answer")
cdef Py_ssize_t STREAM_TUNNEL = slot(ClientStream, "tunnel")
cdef Py_ssize_t STREAM_LATE = slot(ClientStream, "_late")
cdef Py_ssize_t STREAM_OWED = slot(ClientStream, "_owed")
cdef Py_ssize_t STREAM_SENT = slot(ClientStream, "sent")
cdef Py_ssize_t WIRE_THEIRS = slot(WireExchange, "theirs")
cdef Py_ssize_t WIRE_RECEIVING = slot(WireExchange, "receiving")
cdef Py_ssize_t WIRE_TUNNEL = slot(WireExchange, "tunnel")
cdef Py_ssize_t WINDOW_SIZE = slot(ReceiveWindow, "size")
cdef Py_ssize_t WINDOW_LEFT = slot(ReceiveWindow, "left")
cdef Py_ssize_t WINDOW_CONSUMED = slot(ReceiveWindow, "_consumed")
cdef Py_ssize_t CAME_IN_FRAMES = slot(WireTunnel, "received")
cdef object STREAMING = Half.STREAMING
cdef object ANSWER_STREAMING = ResponseState.STREAMING


cdef AnsweringConnection front_of(connection):
    """What writes for a connection of the Python path that takes what is written; None if that is for Python."""
    cdef AnsweringConnection front
    if type(connection) is not FallbackProtocol or get(connection, CONNECTION_WRITABLE) is not True:
        return None
    replaced = get(connection, PROTOCOL_FRONT)
    if not isinstance(replaced, AnsweringConnection):
        return None
    front = <AnsweringConnection>replaced
    return None if front.stage != SLOW or front.transport is None else front


cdef class FastTunnelChannel(FastChannel):
    """A C{FastChannel} that also passes on what comes for the tunnels of the Python path."""

    def __init__(self, protocol, escape=escaped):
        FastChannel.__init__(self, protocol, escape)
        self.carriers = self.channel.carriers

    cdef object body_carrier(self, uint64_t number):
        cdef PyObject *found = PyDict_GetItem(self.carriers, number)
        if found == NULL or type(<object>found) is not TunnelRequest:
            return None
        return <object>found

    cdef int pass_on(
        self, object carrier, object window, object exchange, object stream, object connection,
        AnsweringConnection front, Py_ssize_t size, bytes written,
    ) except -1:
        """Write what C{size} bytes of a guest are to its client, and count them as Python does."""
        cdef long consumed
        cdef long owed = number(stream, STREAM_OWED) + size
        set_number(window, WINDOW_LEFT, number(window, WINDOW_LEFT) - size)
        set_number(exchange, EXCHANGE_RECEIVED, number(exchange, EXCHANGE_RECEIVED) + size)
        set_number(stream, STREAM_SENT, number(stream, STREAM_SENT) + size)
        set_number(stream, STREAM_OWED, owed)
        front.write(written)
        if get(connection, CONNECTION_WRITABLE) is True:
            set_number(stream, STREAM_OWED, 0)
            consumed = number(window, WINDOW_CONSUMED) + owed
            if consumed * 2 < number(window, WINDOW_SIZE) and get(exchange, EXCHANGE_CARRIER) is carrier:
                set_number(window, WINDOW_CONSUMED, consumed)
            else:
                exchange.response_consumed(owed)
        return 0

    cdef bint body_came(self, object tunnel, const u8 *data, Py_ssize_t size) except -1:
        cdef AnsweringConnection front
        cdef FastContext path
        cdef PyObject *found = PyDict_GetItem(self.exchanges, get(tunnel, REQUEST_NUMBER))
        if found == NULL:
            return False
        wire = <object>found
        framed = get(wire, WIRE_TUNNEL)
        if type(wire) is not WireExchange or framed is None or get(wire, WIRE_THEIRS) is not STREAMING:
            return False
        window = get(wire, WIRE_RECEIVING)
        if size > number(window, WINDOW_LEFT):
            return False
        exchange = get(tunnel, REQUEST_EXCHANGE)
        stream = get(exchange, EXCHANGE_SINK)
        if (
            type(stream) is not ClientStream or get(stream, STREAM_TUNNEL) is None
            or get(stream, STREAM_ANSWER) is not ANSWER_STREAMING
            or PyByteArray_GET_SIZE(get(stream, STREAM_LATE)) != 0
        ):
            return False
        connection = get(stream, STREAM_CONNECTION)
        front = front_of(connection)
        if front is None:
            return False
        path = front.path
        path.tunnelled += 1
        set_number(framed, CAME_IN_FRAMES, number(framed, CAME_IN_FRAMES) + size)
        connection.due = path.now() + path.tunnel_idle
        self.pass_on(
            tunnel, window, exchange, stream, connection, front, size,
            PyBytes_FromStringAndSize(<const char *>data, size),
        )
        if size >= number(tunnel, REQUEST_WEIGHTY):
            tunnel.passed(size)
        return True
