"""
From the compiled path to the Python path, in the middle of whatever it is.

A connection, or a request that a guest already has, is set up here as the Python path
would have it now, had it been its own from the start. From then on it goes its way there:
retries, errors, deadlines and the log are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from subproxy.core.exchange import Exchange, RequestHead, State
from subproxy.core.normalise import normalise_path
from subproxy.frontend.connection import Reading
from subproxy.frontend.deadlines import NEVER, Pace
from subproxy.frontend.http1 import Http1Protocol
from subproxy.frontend.responder import Answer, Responder
from subproxy.frontend.tcp_info import bytes_taken
from subproxy.wire.frames import decode

if TYPE_CHECKING:
    from subproxy.fastpath._front import FastFront


def idle(front: FastFront) -> Http1Protocol:
    """A protocol in the place of C{front}, between two requests."""
    factory = front.factory
    protocol = Http1Protocol(factory)
    protocol.transport = front.transport
    protocol.front = front
    protocol.writable = front.writable
    protocol.due = front.due
    protocol.deadline = front.deadline
    protocol.count = front.requests
    protocol.peer = front.peer
    factory.connections.discard(front)
    factory.connections.add(protocol)
    return protocol


def waiting(front: FastFront) -> Http1Protocol:
    """A protocol in the place of C{front}, whose request a guest has."""
    protocol = idle(front)
    protocol.held = front.rest or b""
    protocol.paused = front.paused
    protocol.responder = _responder(protocol, front)
    protocol.state = Reading.ANSWERING
    return protocol


def answered(
    front: FastFront, status: int, sent: int, written: float, stays: bool
) -> Http1Protocol:
    """
    A protocol in the place of C{front}, which has written an answer that its client does not take.

    @param status: that of the answer.
    @param sent: bytes of its body.
    @param written: when it was written, in monotonic seconds.
    @param stays: the client was told that the connection stays.
    """
    protocol = waiting(front)
    responder = protocol.responder
    assert responder is not None
    responder.answer = Answer.DONE
    responder.status = status
    responder.sent = sent
    responder.first_byte = written
    exchange = responder.exchange
    assert exchange is not None
    exchange.carrier = None
    front.channel.channel.disown(front.asked.number)
    exchange.received = sent
    exchange.move(State.RESPONDING)
    protocol.responseBegins()
    protocol.pauseProducing()
    protocol.answered(responder, stays)
    exchange._finish(None)
    return protocol


def _responder(protocol: Http1Protocol, front: FastFront) -> Responder:
    """The answer to the request that C{front} has sent, with its exchange."""
    head, body = _request(front), front.asked.body
    head.length = len(body)
    responder = Responder(protocol, head, front.asked.stays, front.started)
    exchange = Exchange(head, body, responder, protocol.factory.dispatcher)
    exchange.pool = front.asked.pool
    exchange.holder = front.member
    front.channel.channel.adopt(exchange, front.asked.number)
    responder.exchange = exchange
    return responder


def _request(front: FastFront) -> RequestHead:
    """
    The request that C{front} has sent.

    Out of its frame, in which it is what the gate would make of it: to parse and check it
    again would take ten times as long.
    """
    _, _, method, target, fields, info, _ = decode(front.frame)
    (_, host), *_ = headers = [(name, value) for name, value in fields]
    return RequestHead(
        method,
        target,
        front.factory.gate.known_host(host),
        normalise_path(target.partition(b"?")[0]),
        headers,
        info[b"client"],
        info[b"scheme"],
        info[b"version"],
        info[b"id"],
    )


def partial(protocol: Http1Protocol, data: bytes, deadline: float) -> None:
    """C{protocol}, at rest, holds the beginning of a head, and waits for the rest of it."""
    protocol.dataReceived(data)
    if protocol.state is Reading.HEAD:
        protocol.deadline = protocol.due = deadline


def gathering(protocol: Http1Protocol, data: bytes, started: float) -> None:
    """C{protocol}, at rest, collects the body of a request that began at C{started}."""
    protocol.dataReceived(data)
    if protocol.state is Reading.COLLECTING:
        uploader = protocol.uploader
        assert uploader is not None
        uploader.body.pace = Pace()
        uploader.body.pace.start(started)
        uploader.responder.started = started


def held(protocol: Http1Protocol, data: bytes) -> None:
    """C{protocol}, at rest, is not read from, and has this to answer before it is."""
    protocol.held = data
    protocol.paused = True
    protocol._advance()


def close(protocol: Http1Protocol, held: bytes | None, paused: bool) -> None:
    """Close C{protocol} behind an answer, where more had come from the client."""
    protocol.held = held or b""
    protocol.paused = paused
    protocol.go(Reading.ANSWERING)
    protocol.closeBehind()


def closing(front: FastFront) -> Http1Protocol:
    """A protocol in the place of C{front}, which has been closing since C{front.started}."""
    protocol = idle(front)
    protocol.go(Reading.OVER)
    protocol.due = NEVER
    protocol.deadline = 0.0
    protocol.takes = Pace(bytes_taken(front.transport) or 0)
    protocol.takes.start(front.started)
    return protocol
