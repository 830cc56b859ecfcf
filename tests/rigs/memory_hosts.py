"""Hosts in memory, each a whole proxy, that dial each other over TLS; the bytes move."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump, connect

from subproxy.app.host_links import HostLinks, HostSubscriptions
from subproxy.frontend.peer.host_certificates import HostCertificates
from subproxy.frontend.peer.host_tls import HostTlsEngine
from subproxy.subscription.host_registrar import HostRegistrar
from subproxy.subscription.settings import SubscriptionSettings
from tests.rigs.tls_rig import Authority
from tests.rigs.world import World

ADDRESS = "192.0.2.1"


def certificate_files(folder: str, name: str, authority: Authority) -> tuple[str, str]:
    """The paths of a host's certificate and of its authority."""
    path = Path(folder) / name
    path.mkdir(parents=True, exist_ok=True)
    (path / "host.pem").write_bytes(authority.issue(name))
    (path / "ca.pem").write_bytes(authority.pem)
    return os.fspath(path / "host.pem"), os.fspath(path / "ca.pem")


class MemoryHost(World):
    """
    A host.

    @param told: a store says which routes hosts have.
    @ivar links: its connections with others.
    """

    def __init__(
        self,
        reactor: MemoryReactorClock,
        name: str,
        port: int,
        files: tuple[str, str],
        told: bool,
        engine: HostTlsEngine | None = None,
    ) -> None:
        super().__init__(clock=reactor)
        self.name = name
        self.port = port
        self.address = f"{ADDRESS}:{port}"
        self.hosts = HostRegistrar(self.registry, reactor.seconds, self.dispatcher.capacity, told)
        self.host_factory = HostSubscriptions(
            reactor,
            self.dispatcher,
            self.hosts,
            lambda transport: "",
            SubscriptionSettings(share=1.0),
        )
        self.links = HostLinks(
            reactor,
            self.dispatcher,
            self.hosts,
            self.host_factory,
            HostCertificates(*files, engine),
            lambda: 1.0,
        )
        self.registrar.observer = self.links
        self.listener = self.links.listener()

    @property
    def counts(self) -> dict[str, int]:
        """What became of the tokens that it made for other hosts."""
        return dict(self.host_factory.context.tokens.counts)

    @property
    def carriers(self) -> list[Any]:
        """The data connections that others have dialled to it."""
        connections: set[Any] = self.host_factory.subscriptions
        found = (each.data for each in connections)
        return [each for each in found if each is not None]


class AbortedTransport(FakeTransport):
    """What was written to it and has not left is lost when it is aborted, as of a socket."""

    def abortConnection(self) -> None:
        """Close it, with a reset."""
        self.stream.clear()
        super().abortConnection()  # type: ignore[no-untyped-call]


class MemoryHosts:
    """
    Some of them, and what moves between them.

    @ivar reachable: the ports that can be dialled.
    @ivar engine: what does TLS.
    """

    def __init__(
        self, folder: str, *names: str, told: bool = False, engine: HostTlsEngine | None = None
    ) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.authority = Authority()
        self.folder = folder
        self.told = told
        self.engine = engine
        self.hosts: dict[str, MemoryHost] = {}
        self.pumps: list[IOPump] = []
        self.frozen: list[IOPump] = []
        self.guests: list[Any] = []
        self.dialled = 0
        for name in names:
            self.add(name)

    def add(self, name: str, authority: Authority | None = None) -> MemoryHost:
        """One more host."""
        files = certificate_files(self.folder, name, authority or self.authority)
        host = MemoryHost(self.reactor, name, 7000 + len(self.hosts), files, self.told, self.engine)
        self.hosts[name] = host
        return host

    def introduce(self, one: MemoryHost, two: MemoryHost) -> None:
        """Each may ask the other."""
        one.links.host_came(two.name, two.address)
        two.links.host_came(one.name, one.address)
        self.pump()

    def serving(self, host: MemoryHost, *more: Any, **other: Any) -> Any:
        """A guest of that host, which serves C{a.example}."""
        guest = host.serving(*more, **other)
        self.guests.append(guest)
        self.pump()
        return guest

    def let_pass(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass, and all that is said in it be heard."""
        for _ in range(round(seconds / step)):
            self.reactor.advance(step)
            self.pump()

    def cut(self, silently: bool = False) -> None:
        """All connections are lost; or, silently, nothing moves on them any more."""
        self.frozen += self.pumps
        if not silently:
            for each in self.pumps:
                for end in (each.clientIO, each.serverIO):
                    end.abortConnection()
        self.pumps.clear()
        self.pump()

    def pump(self) -> None:
        """Connect who has dialled, and move all until nothing moves."""
        for _ in range(8):
            self.reactor.advance(0)
            self._connect()
            for each in list(self.pumps):
                while each.pump():
                    pass
            for each in self.frozen:
                for end in (each.clientIO, each.serverIO):
                    if end.disconnecting and not end.disconnected:
                        end.disconnected = True
                        end.protocol.connectionLost(Failure(ConnectionLost()))
            for guest in self.guests:
                guest.pump()

    def _connect(self) -> None:
        dialled = self.reactor.tcpClients[self.dialled :]
        self.dialled += len(dialled)
        for _, port, factory, *_ in dialled:
            found = [each for each in self.hosts.values() if each.port == port]
            if not found:
                continue
            client = factory.buildProtocol(IPv4Address("TCP", ADDRESS, port))
            server = found[0].listener.buildProtocol(IPv4Address("TCP", ADDRESS, 1))
            ends = AbortedTransport(server, True), AbortedTransport(client, False)
            self.pumps.append(connect(server, ends[0], client, ends[1]))


class RecordedUser:
    """
    Who would like a data connection: what it hears.

    @ivar heard: by name.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.data = b""

    def claimed(self) -> None:
        self.heard.append("claimed")

    def unclaimed(self) -> None:
        self.heard.append("unclaimed")

    def came(self, data: bytes) -> None:
        self.data += data

    def writable(self) -> None:
        self.heard.append("writable")

    def lost(self) -> None:
        self.heard.append("lost")
