"""What the checks of guest_native_checks share: a reactor, listeners, clients, and their end.

Not a test module: it is run inside a virtual machine, beside those checks.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

LIMIT = 60.0
"""Seconds for one check: a guest without KVM is slow."""


class Bench:
    """A reactor, and what the checks share."""

    def __init__(self, reactor: Any) -> None:
        from twisted.internet import protocol

        from subproxy.endpoints import native

        self.reactor = reactor
        self.native = native
        bench = self

        class Kept(protocol.Protocol):
            """Counts and digests what it receives; echoes when told."""

            echo = False

            def __init__(self) -> None:
                self.received = 0
                self.digest = hashlib.sha256()
                self.lost: Any = None
                self.made = False

            def connectionMade(self) -> None:
                self.made = True

            def dataReceived(self, data: bytes) -> None:
                self.received += len(data)
                self.digest.update(data)
                if self.echo:
                    self.transport.write(data)  # type: ignore[union-attr]

            def connectionLost(self, reason: Any = None) -> None:
                self.lost = reason

        class Server(protocol.Factory):
            noisy = False

            def __init__(self, echo: bool = False) -> None:
                self.echo = echo
                self.peers: list[Any] = []
                self.made: list[Any] = []

            def buildProtocol(self, addr: Any) -> Any:
                made = Kept()
                made.echo = self.echo
                self.peers.append(addr)
                self.made.append(made)
                return made

        self.Kept = Kept
        self.Server = Server
        self.ports: list[Any] = []
        self.clients: list[Any] = []
        self.bench = bench

    async def listen(self, factory: Any, **options: Any) -> Any:
        options.setdefault("allowLocal", True)
        number = options.pop("port", 0xFFFFFFFF)
        endpoint = self.native.VsockServerEndpoint(self.reactor, number, **options)
        port = await endpoint.listen(factory)
        self.ports.append(port)
        return port

    async def dial(self, port: Any, **options: Any) -> Any:
        number = port if isinstance(port, int) else port.getHost().port
        endpoint = self.native.VsockClientEndpoint(self.reactor, 1, number, **options)
        factory = self.Server()
        client = await endpoint.connect(factory)
        self.clients.append(client)
        return client

    async def pair(self, **options: Any) -> tuple[Any, Any]:
        """A client and the server's end of its connection."""
        factory = self.Server()
        port = await self.listen(factory, **options)
        client = await self.dial(port)
        await self.until(lambda: factory.made and factory.made[0].made, "accepted")
        return client, factory.made[0]

    async def until(self, condition: Callable[[], object], what: str) -> None:
        from twisted.internet.task import deferLater

        deadline = time.monotonic() + LIMIT / 2
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not in time: {what}")
            await deferLater(self.reactor, 0.01)

    async def clean(self) -> None:
        for client in self.clients:
            if not client.lost:
                client.transport.abortConnection()
        await self.until(lambda: all(client.lost for client in self.clients), "clients closed")
        for port in self.ports:
            if port.connected:
                await port.stopListening()
        self.clients.clear()
        self.ports.clear()
