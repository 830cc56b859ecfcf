"""A server and a client of TLS in memory, and a line between them: for tests of engines."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.limits import HttpLimits
from subproxy.frontend.tls.certificate import Certificate, read_certificate
from subproxy.frontend.tls.context_cache import ContextCache
from subproxy.frontend.tls.front import HTTP_1_1, TlsFactory
from subproxy.frontend.tls.interfaces import ITlsEngine
from tests.rigs.fake_dispatcher import FakeDispatcher, FakeGuest, Transport
from tests.rigs.tls_rig import Authority, TlsClient

AUTHORITY = Authority()


class SocketTransport(Transport):
    """A transport that tells its protocol when it is gone, as a socket's does."""

    def connectionLost(self, reason: Failure) -> None:
        self.protocol.connectionLost(reason)


@implementer(IHalfCloseableProtocol)
class InnerProtocol(Protocol):
    """
    Notes what it is told.

    @ivar events: names and values of all calls, in their order.
    """

    transport: Any

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.told: Any = None

    def tell(self, *told: Any) -> None:
        self.told = told

    def dataReceived(self, data: bytes) -> None:
        self.events.append(data)

    def readConnectionLost(self) -> None:
        self.events.append("read lost")

    def writeConnectionLost(self) -> None:
        self.events.append("write lost")

    def connectionLost(self, reason: Any = None) -> None:
        self.events.append("lost")

    @property
    def data(self) -> bytes:
        return b"".join(each for each in self.events if isinstance(each, bytes))


class WholeProtocol(Protocol):
    """One that knows nothing of half a connection."""

    lost = False

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True


class Line:
    """A server and a client, with a line between them that somebody moves bytes over."""

    def __init__(
        self,
        engine: ITlsEngine,
        host: str | None = "a.example",
        inner: Any = InnerProtocol,
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
        contexts: ContextCache | None = None,
        limits: HttpLimits | None = None,
        rules: Mapping[bytes, ClientAuthorities] | None = None,
    ) -> None:
        self.rules = dict(rules or {})
        self.clients: Counter[str] = Counter()
        self.clock = Clock()
        self.http = Http1Factory(
            FakeDispatcher(FakeGuest.respond), limits, self.clock, monotonic=self.clock.seconds
        )
        if contexts is None:
            contexts = ContextCache(engine, (HTTP_1_1,), self.clock.seconds)
        self.contexts = contexts
        self.counts: Counter[str] = Counter()
        self.factory = TlsFactory(
            self.http,
            self,
            self.contexts,
            {HTTP_1_1: self.http if inner is None else Factory.forProtocol(inner)},
            "tcp:443",
            self.counts,
            self.rules.get,
            self.clients,
        )
        self.factory.doStart()
        self.transport = SocketTransport("192.0.2.7")
        self.transport.protocol = self.factory.buildProtocol(None)
        self.transport.protocol.makeConnection(self.transport)
        self.client = TlsClient(AUTHORITY, host, context, session)

    certificate = read_certificate(AUTHORITY.issue("a.example", "b.example"))
    other = read_certificate(AUTHORITY.issue("c.example"))

    def find(self, name: bytes | None, address: bytes = b"") -> Certificate | None:
        """See L{ICertificates}."""
        names = dict.fromkeys((b"a.example", b"b.example", None), self.certificate)
        return self.other if name == b"c.example" else names.get(name)

    @property
    def server(self) -> Any:
        return self.transport.protocol

    @property
    def inner(self) -> Any:
        return self.server.inner

    def take(self) -> bytes:
        """What the server has written."""
        data = self.transport.value()
        self.transport.clear()
        return data

    def move(self, data: bytes, size: int = 0) -> None:
        """To the server, in pieces of so many bytes, and what it says back, until both rest."""
        while data:
            for at in range(0, len(data), size or len(data)):
                self.server.dataReceived(data[at : at + (size or len(data))])
            data = self.client.feed(self.take())

    def shake(self, size: int = 0) -> None:
        """A handshake."""
        self.move(self.client.start(), size)
        # Tickets come behind it.
        self.client.feed(self.take())

    def say(self, data: bytes, size: int = 0) -> None:
        """The client sends C{data}."""
        self.move(self.client.send(data), size)

    def hear(self) -> bytes:
        """What the client has received since the last call."""
        self.client.feed(self.take())
        received, self.client.received = self.client.received, b""
        return received
