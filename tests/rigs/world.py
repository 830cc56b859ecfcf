"""
A proxy in memory: real core and subscriptions, a clock that only tests move, guests that are
the other end of the wire, and clients that are recording sinks.
"""

from __future__ import annotations

from random import Random

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.balancing.admission import Admission
from subproxy.core.balancing.balancer import PowerOfTwo
from subproxy.core.dispatcher import Dispatcher
from subproxy.core.exchange import Exchange, Headers, RequestHead, ResponseHead
from subproxy.core.interfaces import IResponseSink
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.router import Router
from subproxy.errors import ProxyError
from subproxy.subscription.factory import SubscriptionFactory
from subproxy.subscription.protocol import SubscriptionProtocol
from subproxy.subscription.registrar import Registrar
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.fields import Info
from subproxy.wire.limits import Limits
from subproxy.wire.states import Role


@implementer(IResponseSink)
class RecordingSink:
    """A client: what it got, in order."""

    supports_interim = True
    read_size = 100_000

    def __init__(self) -> None:
        self.interim: list[int] = []
        self.interim_waits = 0
        self.head: ResponseHead | None = None
        self.body = b""
        self.tunnel: bytes | None = None
        self.trailers: Headers | None = None
        self.error: ProxyError | None = None
        self.complete = False
        self.paused = True

    def interimReceived(self, status: int, headers: Headers) -> int:
        self.interim.append(status)
        return self.interim_waits

    def responseStarted(self, head: ResponseHead, body: bytes | None) -> None:
        assert self.head is None
        self.head = head
        if body is not None:
            self.body = body
            self.complete = True

    def tunnelStarted(self, head: ResponseHead, protocol: bytes) -> None:
        assert self.head is None
        self.head = head
        self.tunnel = protocol

    def bodyReceived(self, data: bytes) -> None:
        assert not self.complete
        self.body += data

    def responseEnded(self, trailers: Headers) -> None:
        self.trailers = trailers
        self.complete = True

    def responseFailed(self, error: ProxyError) -> None:
        assert not self.complete
        assert self.error is None
        self.error = error

    def clientSocket(self) -> None:
        return None

    def requestPaused(self) -> None:
        self.paused = True

    def requestResumed(self) -> None:
        self.paused = False


class Guest:
    """A guest: the other end of one subscription."""

    def __init__(self, world: World, identity: str, limits: Limits | None = None) -> None:
        self.world = world
        self.wire = WireConnection(Role.GUEST, limits)
        self.protocol: SubscriptionProtocol = world.factory.buildProtocol(None)
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", identity, 1))
        self.protocol.makeConnection(self.transport)
        self.events: list[object] = []
        self.answer_pings = True

    def hello(
        self,
        application: bytes = b"app",
        instance: bytes = b"i1",
        **more: object,
    ) -> None:
        info: Info = {
            **limits_info(self.wire.limits),
            b"application": application,
            b"instance": instance,
        }
        info.update({key.encode(): value for key, value in more.items()})
        self.say(m.Hello(info))

    def register(self, host: bytes, path: bytes = b"/.*", reference: int = 1) -> None:
        self.say(m.Register(reference, host, path))

    def say(self, message: m.Message) -> None:
        self.wire.send(message)
        self.pump()

    def pump(self) -> None:
        """Deliver both ways until nothing moves."""
        while True:
            sent = self.wire.data_to_send()
            if sent:
                self.protocol.dataReceived(sent)
            came = self.transport.value()
            self.transport.clear()
            self.wire.feed(came)
            while (event := self.wire.next_event()) is not None:
                if isinstance(event, m.Ping):
                    if self.answer_pings:
                        self.wire.send(m.Pong(event.nonce))
                else:
                    self.events.append(event)
            if not sent and not came:
                return

    def take(self, kind: type) -> list:
        """The events of C{kind} so far, taken out."""
        found = [event for event in self.events if isinstance(event, kind)]
        self.events = [event for event in self.events if not isinstance(event, kind)]
        return found

    def lose(self) -> None:
        """The guest dies."""
        self.protocol.connectionLost(Failure(ConnectionDone()))


class World:
    """The proxy."""

    def __init__(
        self, settings: SubscriptionSettings | None = None, clock: Clock | None = None
    ) -> None:
        self.clock = clock or Clock()
        self.random = Random(1)
        self.registry = Registry()
        self.router = Router(self.registry)
        self.admission = Admission(PowerOfTwo(), self.random)
        self.dispatcher = Dispatcher(self.router, self.admission, self.clock.seconds)
        self.registrar = Registrar(self.registry, self.clock.seconds, self.dispatcher.capacity)
        self.factory = SubscriptionFactory(
            self.clock,
            self.dispatcher,
            self.registrar,
            lambda transport: f"vm:{transport.getPeer().host}",
            settings,
            self.random,
        )

    def guest(self, identity: str = "1", limits: Limits | None = None) -> Guest:
        """A VM's connection that has not greeted."""
        return Guest(self, identity, limits)

    def serving(
        self,
        identity: str = "1",
        host: bytes = b"a\\.example",
        limits: Limits | None = None,
        **more: object,
    ) -> Guest:
        """A guest that serves C{host}."""
        guest = self.guest(identity, limits)
        guest.hello(**more)
        guest.register(host)
        guest.events.clear()
        return guest

    def advance(self, seconds: float) -> None:
        """Let time pass, with the housekeeping that the service does."""
        self.clock.advance(seconds)
        self.registry.expire(self.clock.seconds())
        self.dispatcher.expire(self.clock.seconds())

    def turn(self) -> None:
        """One turn of a reactor: what is to be called at once waits for the next one, where
        C{Clock.advance} would do that, too."""
        for call in list(self.clock.getDelayedCalls()):
            if call.getTime() <= self.clock.seconds() and call.active():
                self.clock.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)

    def ask(
        self,
        method: bytes = b"GET",
        host: bytes = b"a.example",
        body: bytes | None = b"",
        target: bytes = b"/",
        **more: object,
    ) -> tuple[Exchange, RecordingSink]:
        """A client's request, dispatched."""
        sink = RecordingSink()
        head = RequestHead(method, target, host, target.partition(b"?")[0], [], **more)
        if body is None and "length" not in more:
            head.length = None
        exchange = Exchange(head, body, sink)
        self.dispatcher.dispatch(exchange)
        return exchange, sink
