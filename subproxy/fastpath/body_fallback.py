"""
From the compiled path to the Python path, in the middle of a body over a data connection.

As L{subproxy.fastpath.fallback}, for what is under way between a client's socket and a data
connection: the exchange, its state on the wire, the transfer, the relay.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import ITCPTransport

from subproxy.core.exchange import Exchange, ExchangeState
from subproxy.core.http.response import check_response
from subproxy.core.sites.site_request import SiteRequest
from subproxy.fastpath.fallback import FallbackProtocol, idle, sent_request, waiting
from subproxy.fastpath.interfaces import FallsBack
from subproxy.frontend.client_socket import ClientSocket
from subproxy.frontend.client_stream import ClientStream
from subproxy.frontend.connection_state import ConnectionState
from subproxy.frontend.http1.body_framing import LengthBody
from subproxy.frontend.http1.response_writer import Http1Encoder
from subproxy.frontend.http1.version import VERSIONS
from subproxy.frontend.request_body_buffer import RequestBodyBuffer
from subproxy.frontend.request_body_reader import RequestBodyReader
from subproxy.relay.flow import Flow
from subproxy.relay.pipes import Pipe
from subproxy.relay.receiving import ReceivingState
from subproxy.relay.splice import RelayUser, SpliceRelay
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.bodies.response_transfer import ResponseTransfer
from subproxy.subscription.bodies.tokens import PendingClaim
from subproxy.wire import messages as m
from subproxy.wire.frames import decode


def downloading(front: FallsBack) -> FallbackProtocol:
    """A protocol in the place of C{front}, which has written a head, and perhaps some body."""
    download = front.download
    assert download is not None
    protocol = waiting(front)
    client_stream = protocol.client_stream
    assert client_stream is not None
    exchange = client_stream.exchange
    assert exchange is not None
    message = m.parse(decode(b"%d:%b]" % (len(download.head), download.head)))
    assert isinstance(message, m.Response)
    reason = message.info.get(b"reason", b"")
    head = check_response(exchange.request.method, message.status, reason, message.headers)
    head.length = download.length
    connection, flow, pipe = download.part()
    moved = download.moved if flow is None else flow.given
    if not moved and ITCPTransport.providedBy(protocol.transport):
        # The head waits in the kernel for what was to follow it at once: this lets it go.
        protocol.transport.setTcpNoDelay(True)
    # What the encoder would write was written.
    context = protocol.context
    client_stream.resume(head, download.stays, context.status.date, download.first_byte, moved)
    exchange.move(ExchangeState.RESPONDING)
    exchange.response = head
    exchange.received = moved
    protocol.head_written(download.acknowledged)
    number, ended = front.asked.number, download.ended
    promise = cast("PendingClaim[DataConnection]", download)
    transfer = front.channel.channel.adopt_download(number, download.length, promise, moved, ended)
    download.given_to(transfer)
    if connection is not None:
        _carry_on(front, protocol, transfer, connection, flow, pipe)
    elif moved == download.length:
        transfer.all_came()
    if ended:
        transfer.ended(m.End(number))
    return protocol


def _carry_on(
    front: FallsBack,
    protocol: FallbackProtocol,
    transfer: ResponseTransfer,
    connection: DataConnection,
    flow: Flow | None,
    pipe: Pipe | None,
) -> None:
    """C{transfer} goes on with what C{connection} carries, through C{pipe}."""
    assert protocol.client_stream is not None
    socket = ClientSocket(protocol, protocol.client_stream)
    connection.used_by(transfer)
    if flow is None or pipe is None:
        # The client's socket was waited for.
        transfer.adopt(connection, None, socket)
        transfer.lend()
        return
    relay = _relay(front, protocol, transfer, flow, pipe)
    transfer.adopt(connection, relay, socket)
    if relay is not None:
        relay.start()
    elif protocol.transport.connected:
        socket.broke()


def _relay(
    front: FallsBack, protocol: FallbackProtocol, transfer: RelayUser, flow: Flow, pipe: Pipe
) -> SpliceRelay | None:
    """What goes on with C{flow}; None: the client is gone, or there are no descriptors for it."""
    context = front.channel.channel.context
    if protocol.transport.connected:
        try:
            return SpliceRelay.adopting(context.pump, context.pipes, pipe, flow, transfer)
        except OSError:
            pass
    else:
        pipe.held = flow.held
        context.pipes.give(pipe)
    flow.held_back = True
    return None


def uploading(front: FallsBack) -> FallbackProtocol:
    """A protocol in the place of C{front}, whose request's body is still to come, or some of it."""
    upload = front.upload
    protocol = idle(front)
    context = protocol.context
    head = sent_request(front.frame, front.factory.context.rules, front.asked.trace)
    head.length = upload.length
    encoder = Http1Encoder(VERSIONS[head.version])
    rules = front.asked.rules
    client_stream = ClientStream(
        protocol, context, encoder, head, front.asked.stays, front.started, rules
    )
    exchange = Exchange(head, None, client_stream, context.dispatcher)
    if rules is not None:
        exchange.site = SiteRequest(rules, head)
    exchange.pool = front.asked.pool
    exchange.holder = front.member
    exchange.given = front.given
    protocol.client_stream = client_stream
    client_stream.exchange = exchange
    connection, flow, pipe = upload.part()
    came = upload.came
    taken = sent = upload.moved
    if flow is not None:
        taken += flow.taken
        sent += flow.given
    body = LengthBody(upload.length)
    body.skip(taken)
    came, protocol.held = body.feed(came) if came else (b"", b"")
    reader = RequestBodyReader(protocol, client_stream, RequestBodyBuffer(body, came))
    protocol.body_reader = client_stream.body_source = reader
    protocol.state = ConnectionState.STREAMING
    protocol.receive(ReceivingState.PAUSED)
    transfer = front.channel.channel.adopt_upload(
        exchange, front.asked.number, cast("PendingClaim[DataConnection]", upload), sent
    )
    exchange.streamed = taken
    upload.awaited_by(protocol)
    upload.given_to(transfer)
    protocol._look_ahead()
    if connection is None:
        return protocol
    connection.used_by(transfer)
    connection.take_back()
    relay = None
    if flow is not None and pipe is not None:
        relay = _relay(front, protocol, transfer, flow, pipe)
    socket = None
    if flow is not None:
        socket = ClientSocket(protocol, client_stream)
        socket.lent_by(reader)
        protocol.receive(ReceivingState.LENT)
    transfer.adopt(connection, relay, socket)
    if relay is not None:
        reader.resume_lent()
        relay.start()
    elif flow is not None:
        transfer.sink_broke()
    else:
        exchange.resume_request()
        transfer.writable()
    return protocol
