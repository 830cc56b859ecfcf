"""
A dispatcher that answers by a function, and a client's connection in memory: what a frontend is
tested with, without guests.

    client = Client()
    client.send(b"GET / HTTP/1.1\\r\\nHost: a.example\\r\\n\\r\\n")
    guest = client.guest                      # the exchange, as a channel would have it
    guest.exchange.response_start(200, b"", [], b"hello")
    client.received()                         # what the client got
"""

from __future__ import annotations

import socket
import weakref
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.exchange import Exchange, ExchangeState, Headers, IDispatcher, RequestHead
from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.forwarded import Forwarding, Trust
from subproxy.core.interfaces import IUpstreamRequest
from subproxy.core.sites.site_rules import SiteRules
from subproxy.errors import GuestMisbehaved, ProxyError
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.half_close import HalfClose
from subproxy.frontend.limits import HttpLimits


@implementer(IUpstreamRequest)
class FakeGuest:
    """
    The channel's side of one exchange.

    @ivar body: what came of a streamed request body.
    @ivar ended: its trailers, when it is complete.
    @ivar cancelled: the error with which the frontend gave up.
    @ivar credit: bytes of response that the frontend says have left.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.body = b""
        self.pieces = 0
        self.ended: Headers | None = None
        self.cancelled: ProxyError | None = None
        self.credit = 0
        self.on_body: Callable[[], None] = lambda: None

    def sendBody(self, data: bytes) -> None:
        assert self.ended is None
        assert data
        self.body += data
        self.pieces += 1
        self.on_body()

    def endBody(self, trailers: Headers) -> None:
        assert self.ended is None
        self.ended = trailers

    def cancel(self, error: ProxyError) -> None:
        assert self.cancelled is None
        self.cancelled = error

    def consumed(self, amount: int) -> None:
        self.credit += amount

    # As a channel does: a guest that misbehaves fails its exchange.

    def respond(
        self,
        status: int = 200,
        headers: Headers | None = None,
        body: bytes | None = b"",
        reason: bytes = b"",
    ) -> None:
        self._guarded(lambda: self.exchange.response_start(status, reason, headers or [], body))

    def interim(self, status: int, headers: Headers | None = None) -> None:
        self._guarded(lambda: self.exchange.response_interim(status, headers or []))

    def data(self, data: bytes) -> None:
        self._guarded(lambda: self.exchange.response_data(data))

    def end(self, trailers: Headers | None = None) -> None:
        self._guarded(lambda: self.exchange.response_end(trailers or []))

    def _guarded(self, act: Callable[[], None]) -> None:
        if self.exchange.state is ExchangeState.DONE:
            return
        try:
            act()
        except GuestMisbehaved as error:
            self.exchange.fail(error)


@implementer(IDispatcher)
def echo(guest: FakeGuest) -> None:
    """The body as the answer, when it is whole."""
    if guest.exchange.body is not None:
        guest.respond(200, [], guest.exchange.body)
        return

    def end(trailers: object) -> None:
        guest.respond(200, [], guest.body)

    guest.endBody = end  # type: ignore[method-assign, assignment]
    guest.exchange.resume_request()


class FakeDispatcher:
    """
    Gives every exchange to a L{FakeGuest}.

    @ivar guests: all of them, in order.
    @ivar rules: those of every site.
    @ivar answer: called with each guest when it is given its exchange.
    """

    def __init__(self, answer: Callable[[FakeGuest], None] | None = None) -> None:
        self.guests: list[FakeGuest] = []
        self.finishedCount = 0
        self.rules: SiteRules | None = None
        self.answer = answer

    def now(self) -> float:
        return 0.0

    def dispatch(self, exchange: Exchange) -> None:
        guest = FakeGuest(exchange)
        self.guests.append(guest)
        exchange.taken(None, guest)  # type: ignore[arg-type]
        if self.answer is not None:
            self.answer(guest)

    def tunnel_started(self, exchange: Exchange) -> None:
        pass

    def site_rules(self, request: RequestHead) -> SiteRules | None:
        return self.rules

    def finished(self, exchange: Exchange) -> None:
        self.finishedCount += 1


class Transport(StringTransport):
    """
    A transport in memory that fills up, half-closes and aborts as a TCP one does.

    @ivar stalled: the client reads nothing; C{bufferSize} bytes later the producer is paused.
    @ivar tls: what is known of the client, as a transport of TLS has it.
    @ivar line: a socket that stands for the connection, where the kernel is asked about that.
    """

    bufferSize = 65536

    def __init__(self, address: str) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", address, 4711))
        self.stalled = False
        self.tls: ClientTls | None = None
        self.pending = 0
        self.producerPaused = False
        self.halfClosed = False
        self.aborted = False
        self.line: socket.socket | None = None

    def fileno(self) -> int:
        return -1 if self.line is None else self.line.fileno()

    def leave(self, half: bool) -> None:
        """The kernel knows that the peer has closed, or only its half; nobody was told."""
        self.line, end = socket.socketpair()
        for each in (self.line, end):
            weakref.finalize(self, each.close)
        if half:
            end.shutdown(socket.SHUT_WR)
        else:
            end.close()

    def write(self, data: bytes) -> None:
        if self.aborted or self.halfClosed:
            return
        super().write(data)
        if self.stalled:
            self.pending += len(data)
            if self.pending > self.bufferSize and self.producer and not self.producerPaused:
                self.producerPaused = True
                self.producer.pauseProducing()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def drain(self) -> None:
        """The client reads again, all of it."""
        self.stalled = False
        self.pending = 0
        if self.producerPaused and self.producer:
            self.producerPaused = False
            self.producer.resumeProducing()

    def pauseProducing(self) -> None:
        self.producerState = "paused"

    def resumeProducing(self) -> None:
        self.producerState = "producing"

    def loseWriteConnection(self) -> None:
        self.halfClosed = True

    def abortConnection(self) -> None:
        self.aborted = True
        self.disconnecting = True


class Client:
    """A client's connection to a frontend, and the guests behind it."""

    def __init__(
        self,
        answer: Callable[[FakeGuest], None] | None = None,
        limits: HttpLimits | None = None,
        trust: list[str] | None = None,
        log: Any = None,
        address: str = "192.0.2.7",
        half_close: HalfClose = HalfClose.AUTO,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.dispatcher = FakeDispatcher(answer)
        self.factory = Http1Factory(
            self.dispatcher,
            limits,
            self.clock,
            log,
            Forwarding(Trust(trust or [])),
            self.clock.seconds,
            self.clock.seconds,
            half_close,
        )
        self.factory.doStart()
        self.transport = Transport(address)
        self.protocol = self.factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def send(self, *pieces: bytes) -> None:
        """The client writes; each piece is one read of the proxy."""
        for piece in pieces:
            self.protocol.dataReceived(piece)

    def received(self) -> bytes:
        """What the client got since the last call."""
        data = self.transport.value()
        self.transport.clear()
        return data

    @property
    def guest(self) -> FakeGuest:
        """The latest exchange."""
        return self.dispatcher.guests[-1]

    @property
    def closed(self) -> bool:
        """The proxy has closed, at least its half."""
        transport = self.transport
        return bool(transport.disconnecting or transport.halfClosed or transport.aborted)

    @property
    def reading(self) -> bool:
        """The proxy reads."""
        return self.transport.producerState == "producing"

    def halfClose(self) -> None:
        self.protocol.readConnectionLost()

    def leave(self, half: bool = False) -> None:
        """The kernel knows that the client has closed, or only its half; nobody was told."""
        self.transport.leave(half)

    def lose(self, aborted: bool = False) -> None:
        """The connection is gone."""
        self.protocol.connectionLost(Failure(ConnectionAborted() if aborted else ConnectionDone()))

    def wait(self, seconds: float) -> None:
        """Time passes, with its sweeps."""
        while seconds > 0:
            self.clock.advance(min(0.5, seconds))
            seconds -= 0.5
