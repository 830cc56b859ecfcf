# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""What a client sends through a tunnel that is in frames, to its guest.

Of a tunnel that Python has begun, or has taken over. It stays Python's: here its numbers are changed where
that keeps them, as that would change them. So nothing is handed over, and each piece may go either way. For Python is what is not plain:
what waits for credit, a guest that does not read, a half that has moved or ended.

The same in Python: C{subproxy.frontend.client_tunnel}, C{subproxy.subscription.tunnel_request},
C{subproxy.subscription.upstream_request}, C{subproxy.wire.bodies} and C{subproxy.wire.credit} (see
C{subproxy.fastpath.twins}).
"""

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject

from subproxy.fastpath._body_frames cimport body_frame
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._slots cimport get, number, set_number, slot

from subproxy.core.exchange import Exchange
from subproxy.fastpath import shared_channel as _shared_channel
from subproxy.frontend.client_stream import ClientStream
from subproxy.frontend.client_tunnel import ClientTunnel
from subproxy.subscription import channel as _channel
from subproxy.subscription.tunnel_request import TunnelRequest
from subproxy.subscription.upstream_request import UpstreamRequest
from subproxy.wire.credit import SendWindow
from subproxy.wire.exchange import WireExchange
from subproxy.wire.states import Half
from subproxy.wire.tunnel import WireTunnel

cdef type PythonChannel = _shared_channel.SharedChannel
cdef Py_ssize_t TUNNEL_STREAM = slot(ClientTunnel, "_client_stream")
cdef Py_ssize_t STREAM_EXCHANGE = slot(ClientStream, "exchange")
cdef Py_ssize_t EXCHANGE_CARRIER = slot(Exchange, "carrier")
cdef Py_ssize_t EXCHANGE_STREAMED = slot(Exchange, "streamed")
cdef Py_ssize_t REQUEST_CHANNEL = slot(UpstreamRequest, "_channel")
cdef Py_ssize_t REQUEST_NUMBER = slot(UpstreamRequest, "number")
cdef Py_ssize_t REQUEST_WEIGHTY = slot(TunnelRequest, "_weighty")
cdef Py_ssize_t CHANNEL_FAST = slot(PythonChannel, "fast")
cdef Py_ssize_t CHANNEL_CONGESTED = slot(_channel.Channel, "congested")
cdef Py_ssize_t WIRE_OURS = slot(WireExchange, "ours")
cdef Py_ssize_t WIRE_ENDING = slot(WireExchange, "ending")
cdef Py_ssize_t WIRE_SENDING = slot(WireExchange, "sending")
cdef Py_ssize_t WIRE_TUNNEL = slot(WireExchange, "tunnel")
cdef Py_ssize_t WINDOW_AVAILABLE = slot(SendWindow, "available")
cdef Py_ssize_t WINDOW_PENDING = slot(SendWindow, "pending")
cdef Py_ssize_t WINDOW_CHUNK = slot(SendWindow, "chunk")
cdef Py_ssize_t SENT_IN_FRAMES = slot(WireTunnel, "sent")
cdef object STREAMING = Half.STREAMING


cdef bint pass_to_guest(
    FastContext path, object connection, object tunnel, const u8 *data, Py_ssize_t size,
) except -1:
    """Pass C{data} on, which came for C{tunnel} of C{connection}, an C{Http1Protocol}; false, and
    nothing was done, if that is not for here."""
    cdef FastChannel fast
    cdef PyObject *found
    cdef long available
    if type(tunnel) is not ClientTunnel:
        return False
    stream = get(tunnel, TUNNEL_STREAM)
    if type(stream) is not ClientStream:
        return False
    exchange = get(stream, STREAM_EXCHANGE)
    if type(exchange) is not Exchange:
        return False
    carrier = get(exchange, EXCHANGE_CARRIER)
    if type(carrier) is not TunnelRequest:
        return False
    channel = get(carrier, REQUEST_CHANNEL)
    if type(channel) is not PythonChannel or get(channel, CHANNEL_CONGESTED) is not False:
        return False
    fast = get(channel, CHANNEL_FAST)
    if fast is None or not fast.open:
        return False
    found = PyDict_GetItem(fast.exchanges, get(carrier, REQUEST_NUMBER))
    if found == NULL:
        return False
    wire = <object>found
    framed = get(wire, WIRE_TUNNEL)
    if (
        type(wire) is not WireExchange or framed is None
        or get(wire, WIRE_OURS) is not STREAMING or get(wire, WIRE_ENDING) is not None
    ):
        return False
    window = get(wire, WIRE_SENDING)
    available = number(window, WINDOW_AVAILABLE)
    if (
        size > available or number(window, WINDOW_PENDING) != 0
        or size > number(window, WINDOW_CHUNK)
    ):
        return False
    path.tunnelled += 1
    connection.due = path.now() + path.tunnel_idle
    set_number(exchange, EXCHANGE_STREAMED, number(exchange, EXCHANGE_STREAMED) + size)
    set_number(window, WINDOW_AVAILABLE, available - size)
    set_number(framed, SENT_IN_FRAMES, number(framed, SENT_IN_FRAMES) + size)
    fast.say(body_frame(number(carrier, REQUEST_NUMBER), data, size))
    if size >= number(carrier, REQUEST_WEIGHTY):
        carrier.sent(size)
    return True
