# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""What a guest sends of an answer that it streams in frames, to its client: events, say.

The answer stays the Python path's, which has written its head and will write its end: here its numbers are
changed where that keeps them, as that would change them. So each piece may go either way. For Python is what
is not plain: a client that does not take what is written or has left, a guest that has no credit, more than
the length that was told, an answer that ends with its connection, a client of HTTP/2 or of another process.

The same in Python: C{subproxy.subscription.channel}, C{subproxy.frontend.client_stream},
C{subproxy.frontend.http1.response_writer} and C{subproxy.wire.credit} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytearray cimport PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from subproxy.fastpath._answering_connection cimport AnsweringConnection
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._slots cimport get, number, slot
from subproxy.fastpath._tunnel_channel cimport FastTunnelChannel, front_of

from subproxy.core.exchange import Exchange
from subproxy.core.http.response import ResponseHead
from subproxy.frontend.client_stream import ClientStream, ResponseState
from subproxy.frontend.connection import ClientConnection
from subproxy.frontend.http1.protocol import Http1Protocol
from subproxy.frontend.http1.response_writer import Framing, Http1Encoder
from subproxy.subscription.upstream_request import UpstreamRequest
from subproxy.wire.credit import ReceiveWindow
from subproxy.wire.exchange import WireExchange
from subproxy.wire.states import Half

cdef Py_ssize_t REQUEST_EXCHANGE = slot(UpstreamRequest, "exchange")
cdef Py_ssize_t REQUEST_NUMBER = slot(UpstreamRequest, "number")
cdef Py_ssize_t REQUEST_DOWNLOAD = slot(UpstreamRequest, "download")
cdef Py_ssize_t EXCHANGE_SINK = slot(Exchange, "sink")
cdef Py_ssize_t EXCHANGE_RECEIVED = slot(Exchange, "received")
cdef Py_ssize_t EXCHANGE_RESPONSE = slot(Exchange, "response")
cdef Py_ssize_t HEAD_LENGTH = slot(ResponseHead, "length")
cdef Py_ssize_t CONNECTION_TUNNEL = slot(ClientConnection, "tunnel")
cdef Py_ssize_t PROTOCOL_DEPARTURE = slot(Http1Protocol, "departure")
cdef Py_ssize_t STREAM_CONNECTION = slot(ClientStream, "_connection")
cdef Py_ssize_t STREAM_ENCODER = slot(ClientStream, "_encoder")
cdef Py_ssize_t STREAM_EXCHANGE = slot(ClientStream, "exchange")
cdef Py_ssize_t STREAM_ANSWER = slot(ClientStream, "answer")
cdef Py_ssize_t STREAM_TUNNEL = slot(ClientStream, "tunnel")
cdef Py_ssize_t STREAM_LATE = slot(ClientStream, "_late")
cdef Py_ssize_t ENCODER_FRAMING = slot(Http1Encoder, "_framing")
cdef Py_ssize_t WIRE_THEIRS = slot(WireExchange, "theirs")
cdef Py_ssize_t WIRE_RECEIVING = slot(WireExchange, "receiving")
cdef Py_ssize_t WIRE_TUNNEL = slot(WireExchange, "tunnel")
cdef Py_ssize_t WINDOW_LEFT = slot(ReceiveWindow, "left")
cdef object STREAMING = Half.STREAMING
cdef object ANSWER_STREAMING = ResponseState.STREAMING
cdef object CHUNKED = Framing.CHUNKED
cdef object BY_LENGTH = Framing.LENGTH


cdef bytes chunk(const u8 *data, Py_ssize_t size):
    """C{data} as a chunk (RFC 9112 section 7.1)."""
    cdef u8 digits[20]
    cdef u8 *o = digits + sizeof(digits)
    cdef Py_ssize_t left = size
    cdef Py_ssize_t head
    cdef bytes made
    cdef u8 *p
    o -= 2
    o[0] = c"\r"
    o[1] = c"\n"
    while True:
        o -= 1
        o[0] = b"0123456789abcdef"[left & 15]
        left >>= 4
        if not left:
            break
    head = digits + sizeof(digits) - o
    made = PyBytes_FromStringAndSize(NULL, head + size + 2)
    p = <u8 *>PyBytes_AS_STRING(made)
    memcpy(p, o, head)
    memcpy(p + head, data, size)
    p[head + size] = c"\r"
    p[head + size + 1] = c"\n"
    return made


cdef class FastAnswerChannel(FastTunnelChannel):
    """A C{FastTunnelChannel} that also passes on what comes of the Python path's streamed answers."""

    cdef object body_carrier(self, uint64_t number):
        cdef PyObject *found = PyDict_GetItem(self.carriers, number)
        if found == NULL:
            return None
        if type(<object>found) is UpstreamRequest:
            return <object>found
        return FastTunnelChannel.body_carrier(self, number)

    cdef bint body_came(self, object carrier, const u8 *data, Py_ssize_t size) except -1:
        cdef AnsweringConnection front
        cdef PyObject *found
        cdef bint in_chunks
        if type(carrier) is not UpstreamRequest:
            return FastTunnelChannel.body_came(self, carrier, data, size)
        if get(carrier, REQUEST_DOWNLOAD) is not None:
            return False
        found = PyDict_GetItem(self.exchanges, get(carrier, REQUEST_NUMBER))
        if found == NULL:
            return False
        wire = <object>found
        if (
            type(wire) is not WireExchange or get(wire, WIRE_TUNNEL) is not None
            or get(wire, WIRE_THEIRS) is not STREAMING
        ):
            return False
        window = get(wire, WIRE_RECEIVING)
        if size > number(window, WINDOW_LEFT):
            return False
        exchange = get(carrier, REQUEST_EXCHANGE)
        stream = get(exchange, EXCHANGE_SINK)
        if (
            type(stream) is not ClientStream or get(stream, STREAM_EXCHANGE) is not exchange
            or get(stream, STREAM_ANSWER) is not ANSWER_STREAMING
            or get(stream, STREAM_TUNNEL) is not None
            or PyByteArray_GET_SIZE(get(stream, STREAM_LATE)) != 0
        ):
            return False
        encoder = get(stream, STREAM_ENCODER)
        if type(encoder) is not Http1Encoder:
            return False
        framing = get(encoder, ENCODER_FRAMING)
        in_chunks = framing is CHUNKED
        if not in_chunks:
            if framing is not BY_LENGTH:
                return False
            head = get(exchange, EXCHANGE_RESPONSE)
            if type(head) is not ResponseHead:
                return False
            # An object, since it may be more than fits into a number of C.
            length = get(head, HEAD_LENGTH)
            if length is None or number(exchange, EXCHANGE_RECEIVED) + size > length:
                return False
        connection = get(stream, STREAM_CONNECTION)
        front = front_of(connection)
        if (
            front is None or get(connection, PROTOCOL_DEPARTURE) is not None
            or get(connection, CONNECTION_TUNNEL) is not None
        ):
            return False
        front.path.streamed += 1
        self.pass_on(
            carrier, window, exchange, stream, connection, front, size,
            chunk(data, size) if in_chunks
            else PyBytes_FromStringAndSize(<const char *>data, size),
        )
        return True


def written_chunk(bytes data):
    """C{chunk}, for tests."""
    return chunk(<const u8 *>PyBytes_AS_STRING(data), len(data))
