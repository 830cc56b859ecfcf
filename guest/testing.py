"""
An in-memory proxy, with which authors test their applications: no sockets, no clock, no waiting.

    from twisted.trial.unittest import SynchronousTestCase
    from guest.testing import MemoryProxy

    class HelloTests(SynchronousTestCase):
        def test_hello(self):
            proxy = MemoryProxy(Hello)
            response = self.successResultOf(proxy.request(b"GET", b"/"))
            self.assertEqual(response.status, 200)
            self.assertEqual(response.body, b"hello\\n")

In a test that is a coroutine or uses C{inlineCallbacks}, C{await} or C{yield} the same Deferreds.

What is between is the real thing: both ends of the wire, frames, credit and all. Only time and the
transport are made up. If your application waits for something that your test makes happen, let
things take their course with L{MemoryProxy.advance} afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from guest.core.errors import GuestError
from guest.core.route import Route
from guest.twisted.factory import SubscriberFactory
from guest.twisted.memory_transport import MemoryTransport
from guest.twisted.subscriber import SubscriberProtocol
from subproxy.wire import messages as m
from subproxy.wire.connection import Broken, Violation, WireConnection, limits_info
from subproxy.wire.fields import Headers, Info
from subproxy.wire.info import passthrough
from subproxy.wire.limits import Limits
from subproxy.wire.states import Role, Side

if TYPE_CHECKING:
    from guest.twisted.memory_web_socket import MemoryWebSocket

ROUNDS = 100_000
"""After so many deliveries without an end, something must be going in circles."""


class ExchangeFailed(GuestError):
    """
    The guest broke the exchange off, or is gone: a client would get 502, or a truncated body.

    @ivar code: from C{abort}; C{lost} if the connection is gone, C{protocol} if a rule was broken.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code
        self.reason = reason


@dataclass
class MemoryResponse:
    """
    The response as a client would get it.

    @ivar interim: the interim responses that came before, pairs of status and headers.
    """

    status: int = 0
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    trailers: Headers = field(default_factory=list)
    reason: bytes | None = None
    interim: list[tuple[int, Headers]] = field(default_factory=list)

    def header(self, name: bytes, default: bytes = b"") -> bytes:
        """The value of the first field of that name, in any case; or C{default}."""
        for each, value in self.headers:
            if each.lower() == name.lower():
                return value
        return default


class MemoryExchange:
    """
    One exchange, seen from the proxy.

    @ivar response: as much of it as is here.
    @ivar finished: fires with the response when it is complete; fails with L{ExchangeFailed}.
    @ivar held: bytes of response body that came and were not granted again, if C{hold} was asked.
    """

    def __init__(self, proxy: ProxyProtocol, number: int, hold: bool) -> None:
        self._proxy = proxy
        self.number = number
        self.hold = hold
        self.held = 0
        self.response = MemoryResponse()
        self.finished: Deferred[MemoryResponse] = Deferred()

    def send(self, data: bytes) -> None:
        """Send more of the request's body."""
        self._proxy.connection.write_body(self.number, data)
        self._proxy.flush()

    def end(self, trailers: Headers | None = None) -> None:
        """The request's body is complete."""
        self._proxy.connection.end_body(self.number, trailers)
        self._proxy.flush()

    def take(self, amount: int | None = None) -> None:
        """Grant credit for so much of what is held; for all of it, if None."""
        amount = self.held if amount is None else amount
        self.held -= amount
        self._proxy.connection.consumed(self.number, amount)
        self._proxy.flush()

    def abort(self, code: bytes = b"client", reason: bytes = b"client left") -> None:
        """Tell the guest that nobody waits any more."""
        self._proxy.connection.send(m.Abort(self.number, code, reason))
        self._proxy.forget(self.number)
        self._proxy.flush()


class ProxyProtocol(Protocol):
    """
    The least that a proxy is: welcomes, registers everything, sends requests when told.

    Over a real transport it serves tests that run a guest as a process.

    @ivar hello: what the guest said of itself.
    @ivar routes: what it has registered, by reference.
    @ivar pongs: the nonces that came back.
    @ivar farewell: the guest's C{bye}, once it came.
    @ivar said: all messages of the guest but bodies, for tests that look closely.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        welcome: Info | None = None,
        admit: Callable[[Route], tuple[bytes, bytes] | None] = lambda route: None,
    ) -> None:
        """
        Prepare to listen.

        @param welcome: what C{welcome} says beside the limits.
        @param admit: returns a code and a reason for a route that is refused.
        """
        self.connection = WireConnection(Role.PROXY, limits)
        self.hello: Info = {}
        self.routes: dict[int, Route] = {}
        self.pongs: list[bytes] = []
        self.farewell: m.Bye | None = None
        self.said: list[Any] = []
        self.exchanges: dict[int, MemoryExchange] = {}
        self._admit = admit
        self._welcome = {b"identity": b"memory", b"ping": 3000, b"timeout": 10_000}
        self._welcome.update(welcome or {})

    def request(
        self,
        method: bytes,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes | None = b"",
        info: Info | None = None,
        hold: bool = False,
    ) -> MemoryExchange:
        """
        Send a request.

        @param body: all of it, sent inline if it is short; or None: L{MemoryExchange.send} follows.
        @param hold: whether to leave it to L{MemoryExchange.take} to grant credit.
        """
        number = self.connection.last + 1
        exchange = MemoryExchange(self, number, hold)
        self.exchanges[number] = exchange
        whole = body is not None and len(body) <= self.connection.peer_limits.inline
        self.connection.send(
            m.Request(
                number,
                method,
                target,
                list(headers),
                {b"client": b"192.0.2.1", b"scheme": b"http", **(info or {})},
                body if whole else None,
            )
        )
        if body is not None and not whole:
            self.connection.write_body(number, body)
            self.connection.end_body(number)
        self.flush()
        return exchange

    def say(self, message: m.Message) -> None:
        """Send any message."""
        self.connection.send(message)
        self.flush()

    def flush(self) -> None:
        """Write what there is to send."""
        data = self.connection.data_to_send()
        if data:
            self.transport.write(data)  # type: ignore[union-attr]

    def forget(self, number: int) -> None:
        """An exchange is of no interest any more."""
        self.exchanges.pop(number, None)

    def dataReceived(self, data: bytes) -> None:
        """Handle all that came."""
        self.connection.feed(data)
        while (event := self.connection.next_event()) is not None:
            if not isinstance(event, m.Body):
                self.said.append(event)
            self._handle(event)
        self.flush()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Every exchange has failed."""
        for number in list(self.exchanges):
            self._fail(number, "lost", "the guest is gone")

    def _handle(self, event: Any) -> None:
        connection = self.connection
        match event:
            case m.Hello():
                self.hello = event.info
                tunnels: Info = {b"tunnel": 0} if b"tunnel" in event.info else {}
                welcome = {**limits_info(connection.limits), **tunnels, **self._welcome}
                connection.send(m.Welcome(welcome))
            case m.Register():
                self._register(event)
            case m.Unregister():
                if self.routes.pop(event.reference, None) is not None:
                    connection.send(m.Unregistered(event.reference))
            case m.Pong():
                self.pongs.append(event.nonce)
            case m.Response() | m.Body() | m.End() | m.Abort():
                self._exchange(event)
            case Violation():
                self._fail(event.exchange, "protocol", event.reason)
            case m.Bye():
                self.farewell = event
                if connection.ours is not Side.DONE:
                    connection.send(m.Bye())
                self.flush()
                self.transport.loseConnection()  # type: ignore[union-attr]
            case Broken():
                self.flush()
                self.transport.loseConnection()  # type: ignore[union-attr]

    def _register(self, message: m.Register) -> None:
        passed = passthrough(message.info)
        route = Route(message.host, message.path, passed)
        refusal = self._admit(route)
        if refusal is None:
            self.routes[message.reference] = route
            info: Info = {b"passthrough": True} if passed else {}
            self.connection.send(m.Registered(message.reference, info))
        else:
            self.connection.send(m.Refused(message.reference, *refusal))

    def _exchange(self, event: Any) -> None:
        exchange = self.exchanges.get(event.exchange)
        if exchange is None:
            return
        response = exchange.response
        match event:
            case m.Response() if event.status < 200:
                response.interim.append((event.status, event.headers))
            case m.Response():
                response.status = event.status
                response.headers = event.headers
                response.reason = event.info.get(b"reason")
                if isinstance(event.body, bytes):
                    response.body = event.body
                    self._finish(exchange)
            case m.Body():
                response.body += event.data
                if exchange.hold:
                    exchange.held += len(event.data)
                else:
                    self.connection.consumed(exchange.number, len(event.data))
            case m.End():
                response.trailers = event.trailers
                self._finish(exchange)
            case m.Abort():
                self._fail(event.exchange, event.code.decode(), event.reason.decode())

    def _finish(self, exchange: MemoryExchange) -> None:
        self.forget(exchange.number)
        exchange.finished.callback(exchange.response)

    def _fail(self, number: int, code: str, reason: str) -> None:
        exchange = self.exchanges.pop(number, None)
        if exchange is not None:
            exchange.finished.errback(ExchangeFailed(code, reason))


class MemoryProxy:
    """
    A proxy and one subscription to it.

    @ivar guest: the application's L{SubscriberProtocol}.
    @ivar proxy: the other end, a L{ProxyProtocol}.
    @ivar clock: the only time there is.
    """

    def __init__(
        self,
        application: type[SubscriberProtocol] | SubscriberFactory,
        routes: Iterable[Route] = (Route(rb".*", rb"/.*"),),
        *,
        proxy: ProxyProtocol | None = None,
        clock: Clock | None = None,
    ) -> None:
        """
        Connect, greet and register.

        @param application: its class; or a factory, which gets C{clock} for its own.
        @param routes: what to register, if C{application} is a class.
        @param proxy: one with other limits, or that refuses something.
        """
        self.clock = clock or Clock()
        if isinstance(application, SubscriberFactory):
            self.factory = application
            self.factory.clock = self.clock
        else:
            self.factory = SubscriberFactory(application, "test", routes, clock=self.clock)
        self.proxy = proxy or ProxyProtocol()
        guest: Any = self.factory.buildProtocol(None)
        self.guest: Any = guest
        self._guest_end = MemoryTransport(guest)
        self._proxy_end = MemoryTransport(self.proxy)
        self.proxy.makeConnection(self._proxy_end)  # type: ignore[no-untyped-call]
        guest.makeConnection(self._guest_end)
        self.advance()

    def request(
        self,
        method: bytes,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes = b"",
    ) -> Deferred[MemoryResponse]:
        """
        Send a request, and let things take their course.

        @return: fires with the L{MemoryResponse}; fails with L{ExchangeFailed}.
        """
        return self.begin(method, target, headers, body).finished

    def begin(
        self,
        method: bytes,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes | None = b"",
        info: Info | None = None,
        hold: bool = False,
    ) -> MemoryExchange:
        """
        As L{request}, for those who want to look at the exchange while it lasts.

        Call L{advance} after what you do to the exchange. See L{ProxyProtocol.request}.
        """
        exchange = self.proxy.request(method, target, headers, body, info, hold)
        self.advance()
        return exchange

    def web_socket(
        self,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]] = (),
        subprotocols: Iterable[str] = (),
        *,
        compress: bool = False,
    ) -> MemoryWebSocket:
        """
        Ask for a WebSocket, as a client that offers these subprotocols.

        @param compress: offer permessage-deflate, too.
        """
        from guest.twisted.memory_web_socket import MemoryWebSocket

        return MemoryWebSocket(self, target, headers, subprotocols, compress)

    def advance(self, seconds: float = 0) -> None:
        """
        Let time pass, and deliver all that has been written.

        @raise RuntimeError: it does not come to an end: an endless body, perhaps; C{hold} it.
        """
        self.clock.advance(seconds)
        for _ in range(ROUNDS):
            moved = self._deliver(self._guest_end, self._proxy_end)
            moved = self._deliver(self._proxy_end, self._guest_end) or moved
            due = [each for each in self.clock.calls if each.getTime() <= self.clock.seconds()]
            if due:
                self.clock.advance(0)
            elif not moved:
                return
        raise RuntimeError("guest and proxy go on for ever")

    def drain(self) -> None:
        """The proxy sends nothing new."""
        self.proxy.say(m.Drain())
        self.advance()

    def disconnect(self) -> None:
        """The connection breaks."""
        for end in (self._guest_end, self._proxy_end):
            if not end.lost:
                end.lost = True
                end.protocol.connectionLost(_failure(ConnectionLost()))

    def choke(self, full: bool = True) -> None:
        """The guest's transport is full; or has room again."""
        producer = self._guest_end.producer
        if producer is not None:
            (producer.pauseProducing if full else producer.resumeProducing)()
        if not full:
            self.advance()

    @property
    def connected(self) -> bool:
        """The guest is still connected."""
        return not self._guest_end.lost

    def _deliver(self, sender: MemoryTransport, receiver: MemoryTransport) -> bool:
        moved = False
        if sender.written and not receiver.paused and not receiver.lost:
            data = b"".join(sender.written)
            sender.written.clear()
            receiver.protocol.dataReceived(data)
            moved = True
        if sender.disconnecting and not sender.written and not sender.lost:
            sender.lost = True
            sender.protocol.connectionLost(_failure(ConnectionDone()))
            receiver.disconnecting = True
            receiver.written.clear()
            moved = True
        return moved


def _failure(error: Exception) -> Failure:
    return Failure(error)
