"""
From the compiled path to the Python path, in the middle of whatever it is.

A connection, or a request that a guest already has, is set up here as the Python path
would have it now, had it been its own from the start. From then on it goes its way there:
retries, errors, deadlines and the log are the same.
"""

from __future__ import annotations

from typing import cast

from subproxy.core.balancing.admission import Ticket
from subproxy.core.exchange import Exchange, ExchangeState, RequestHead
from subproxy.core.http.normalise import normalise_path
from subproxy.core.http.request_rules import RequestRules
from subproxy.core.sites.site_request import SiteRequest
from subproxy.fastpath._pending import PendingRequest
from subproxy.fastpath.interfaces import FallsBack
from subproxy.frontend.client_stream import ClientStream, ResponseState
from subproxy.frontend.connection_state import ConnectionState
from subproxy.frontend.deadlines import NEVER, MinDataRate
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.http1.protocol import Http1Protocol
from subproxy.frontend.http1.response_writer import Http1Encoder
from subproxy.frontend.http1.version import VERSIONS
from subproxy.frontend.tcp_info import bytes_taken
from subproxy.relay.receiving import ReceivingState
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.bodies.tokens import PendingClaim
from subproxy.telemetry.close_reason import CloseReason
from subproxy.wire.frames import decode


class FallbackProtocol(Http1Protocol):
    """
    Serves a connection in the place of a L{FastConnection}, until it is at rest.

    @ivar front: the compiled path's side of the connection; None when it serves again.
    """

    __slots__ = ("front",)

    def __init__(self, factory: Http1Factory, front: FallsBack) -> None:
        super().__init__(factory.context, factory.validator)
        self.front: FallsBack | None = front

    def rests(self) -> None:
        """The compiled path may have the next request."""
        front = self.front
        if front is not None and self.at_rest:
            self.front = None
            self.context.connections.left(self)
            self.go(ConnectionState.OVER)
            front.take_back(self.count, self.due, self.deadline)

    def head_written(self, acknowledged: int | None) -> None:
        """
        The head of a streamed answer has been written.

        @param acknowledged: bytes that the client had taken before, if that is known.
        """
        self.due = NEVER
        self._taken = acknowledged
        self._look_ahead()


def idle(front: FallsBack) -> FallbackProtocol:
    """A protocol in the place of C{front}, between two requests."""
    protocol = FallbackProtocol(front.factory, front)
    protocol.transport = front.transport
    protocol.writable = front.writable
    protocol.due = front.due
    protocol.deadline = front.deadline
    protocol.count = front.requests
    protocol.peer = front.peer
    protocol.context.connections.replaced(front, protocol)
    return protocol


def waiting(front: FallsBack) -> FallbackProtocol:
    """A protocol in the place of C{front}, whose request a guest has."""
    protocol = idle(front)
    protocol.held = front.rest or b""
    if front.paused:
        protocol.receive(ReceivingState.PAUSED)
    protocol.client_stream = _client_stream(protocol, front)
    protocol.state = ConnectionState.ANSWERING
    return protocol


def queued(front: FallsBack, ticket: Ticket) -> FallbackProtocol:
    """A protocol in the place of C{front}, whose request waits for a guest, by C{ticket}."""
    protocol = idle(front)
    protocol.held = front.rest or b""
    if front.paused:
        protocol.receive(ReceivingState.PAUSED)
    stream = protocol.client_stream = begun_stream(protocol, front)
    exchange = Exchange(stream.request, front.asked.body, stream, protocol.context.dispatcher)
    if stream.rules is not None:
        exchange.site = SiteRequest(stream.rules, stream.request)
    exchange.pool = ticket.pool
    exchange.ticket = ticket
    resume_way(exchange, front.asked)
    if exchange.taken_from:
        exchange.member = exchange.taken_from[-1]
    ticket.exchange = stream.exchange = exchange
    protocol.state = ConnectionState.ANSWERING
    return protocol


def answered(
    front: FallsBack, status: int, sent: int, written: float, stays: bool
) -> FallbackProtocol:
    """
    A protocol in the place of C{front}, which has written an answer that its client does not take.

    @param status: that of the answer.
    @param sent: bytes of its body.
    @param written: when it was written, in monotonic seconds.
    @param stays: the client was told that the connection stays.
    """
    protocol = waiting(front)
    client_stream = protocol.client_stream
    assert client_stream is not None
    client_stream.answer = ResponseState.DONE
    client_stream.status = status
    client_stream.sent = sent
    client_stream.first_byte = written
    exchange = client_stream.exchange
    assert exchange is not None
    exchange.carrier = None
    front.channel.channel.disown(front.asked.number)
    exchange.received = sent
    exchange.move(ExchangeState.RESPONDING)
    protocol.response_begins()
    protocol.pauseProducing()
    protocol.answered(client_stream, stays)
    exchange._finish(None)
    return protocol


def begun_stream(protocol: FallbackProtocol, front: FallsBack) -> ClientStream:
    """The answer to the request that C{front} has, without its exchange."""
    head = sent_request(front.frame, front.factory.context.rules, front.asked.trace)
    head.length = front.asked.received
    encoder = Http1Encoder(VERSIONS[head.version])
    return ClientStream(
        protocol,
        protocol.context,
        encoder,
        head,
        front.asked.stays,
        front.started,
        front.asked.rules,
    )


def _client_stream(protocol: FallbackProtocol, front: FallsBack) -> ClientStream:
    """The answer to the request that C{front} has sent, with its exchange."""
    client_stream = begun_stream(protocol, front)
    head, rules = client_stream.request, client_stream.rules
    body = None if front.asked.streamed else front.asked.body
    exchange = Exchange(head, body, client_stream, protocol.context.dispatcher)
    if rules is not None:
        exchange.site = SiteRequest(rules, head)
    exchange.pool = front.asked.pool
    exchange.holder = front.member
    exchange.given = front.given
    resume_way(exchange, front.asked)
    if body is None:
        # Its body has gone over a data connection.
        exchange.streamed = front.asked.received
        exchange.ended = True
    channel, number = front.channel.channel, front.asked.number
    channel.adopt(exchange, number)
    download = front.download
    if download is not None and download.expected:
        transfer = channel.adopt_ahead(number, cast("PendingClaim[DataConnection]", download))
        connection, _, _ = download.part()
        download.given_to(transfer)
        if connection is not None:
            connection.used_by(transfer)
            transfer.adopt_held(connection)
    client_stream.exchange = exchange
    return client_stream


def resume_way(exchange: Exchange, asked: PendingRequest) -> None:
    """C{exchange} is that of C{asked}: for how long that has waited, and who had it before."""
    exchange.queued = asked.queued
    if asked.earlier is not None:
        exchange.tried, exchange.taken_from, exchange.guest = asked.earlier
        exchange.attempts = len(exchange.taken_from)


def sent_request(frame: bytes, rules: RequestRules, trace: bytes) -> RequestHead:
    """
    The request that was sent as C{frame}.

    Out of its frame, in which it is what the validator would make of it: to parse and check it
    again would take ten times as long.

    @param trace: that was followed; a reload may have changed since whether any is.
    """
    _, _, method, target, fields, info, _ = decode(frame)
    (_, host), *_ = headers = [(name, value) for name, value in fields]
    return RequestHead(
        method,
        target,
        rules.known_host(host),
        normalise_path(target.partition(b"?")[0]),
        headers,
        info[b"client"],
        info[b"scheme"],
        info[b"version"],
        info[b"id"],
        trailers=info.get(b"trailers", False),
        trace=trace,
    )


def partial(protocol: FallbackProtocol, data: bytes, deadline: float) -> None:
    """C{protocol}, at rest, holds the beginning of a head, and waits for the rest of it."""
    protocol.dataReceived(data)
    if protocol.state is ConnectionState.HEAD:
        protocol.deadline = protocol.due = deadline


def gathering(protocol: FallbackProtocol, data: bytes, started: float) -> None:
    """C{protocol}, at rest, collects the body of a request that began at C{started}."""
    protocol.dataReceived(data)
    if protocol.state is ConnectionState.COLLECTING:
        client_stream = protocol.client_stream
        assert client_stream is not None
        assert client_stream.body_source is not None
        client_stream.body_source.restart_pace(started)
        client_stream.started = started


def held(protocol: FallbackProtocol, data: bytes) -> None:
    """C{protocol}, at rest, is not read from, and has this to answer before it is."""
    protocol.held = data
    protocol.receive(ReceivingState.PAUSED)
    protocol._advance()


def close(protocol: FallbackProtocol, held: bytes | None, paused: bool) -> None:
    """Close C{protocol} behind an answer, where more had come from the client."""
    protocol.held = held or b""
    if paused:
        protocol.receive(ReceivingState.PAUSED)
    protocol.go(ConnectionState.ANSWERING)
    protocol.close(CloseReason.LAST_ANSWER)


def closing(front: FallsBack) -> FallbackProtocol:
    """A protocol in the place of C{front}, which has been closing since C{front.started}."""
    protocol = idle(front)
    protocol.go(ConnectionState.OVER)
    protocol.close_reason = CloseReason.LAST_ANSWER
    protocol.due = NEVER
    protocol.deadline = 0.0
    protocol.takes = MinDataRate(bytes_taken(front.transport) or 0)
    protocol.takes.start(front.started)
    return protocol
