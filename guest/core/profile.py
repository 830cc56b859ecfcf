"""What one application instance says of itself: what outlives a connection."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from guest.core import wall_clock
from guest.core.reseed import mixed, reseed
from guest.core.route import Route
from guest.core.runtime import GuestLog
from subproxy.wire import messages as m
from subproxy.wire.fields import Info
from subproxy.wire.info import passthrough, tls_names
from subproxy.wire.limits import DEFAULT_WEIGHT, Limits


def random_instance() -> str:
    """An id for an instance, from the kernel's random numbers."""
    return os.urandom(8).hex()


def salted_instance(salt: bytes) -> str:
    """One that differs from those of copies of this machine, which have another salt."""
    return mixed(salt)[:8].hex()


class SubscriberProfile:
    """
    One application instance, whatever framework it runs on.

    @ivar application: its name.
    @ivar routes: registered on each connection at once.
    @ivar instance: the random id of this instance (docs/protocol.md, "Instances").
    @ivar worker: which of several equal processes in this VM this is.
    @ivar concurrency: most requests at a time; 0 for no limit.
    @ivar weight: how much of the requests we want, 1 to 1,000.
    @ivar limits: what we take from the proxy.
    @ivar drain_timeout: how long requests may take after a drain, in seconds.
    @ivar agent: the software, for people.
    @ivar data: dials data connections for large bodies (a
        L{DataConnectionPool<guest.core.data_connection.DataConnectionPool>}); None: those go the
        common way, too.
    @ivar tunnels: the protocols for which clients may have tunnels, as C{Upgrade} names them: at
        most 8, of 1 to 32 bytes.
    @ivar tls: what requests are to tell of the TLS of clients: C{b"sni"}, C{b"alpn"}, C{b"cert"}.
    """

    def __init__(
        self,
        application: str,
        routes: Iterable[Route] = (),
        *,
        worker: int = 0,
        concurrency: int = 0,
        weight: int = DEFAULT_WEIGHT,
        limits: Limits | None = None,
        instance: str | None = None,
        drain_timeout: float = 30.0,
        agent: str = "subproxy guest",
    ) -> None:
        self.application = application
        self.routes = list(routes)
        self.worker = worker
        self.concurrency = concurrency
        self.weight = weight
        self.limits = limits or Limits()
        self.instance = instance or random_instance()
        self.drain_timeout = drain_timeout
        self.agent = agent
        self.data: Any = None
        self.tunnels: tuple[bytes, ...] = ()
        self.tls: tuple[bytes, ...] = ()
        self._epoch = b""

    def renew(self) -> None:
        """Be another instance from the next connection on: this id is somebody else's, too."""
        self.instance = random_instance()

    def restored(self, epoch: bytes) -> None:
        """
        This machine goes on from a snapshot: be another instance, with other random numbers and
        the time of now.

        @param epoch: what the proxy calls this run of it; a second word of it changes nothing.
        """
        if self._epoch != epoch:
            self._epoch = epoch
            reseed(epoch)
            wall_clock.correct()
            self.instance = salted_instance(epoch)

    def hello(self) -> Info:
        """What C{hello} says of us, beside the limits."""
        info: Info = {
            b"application": self.application.encode(),
            b"instance": self.instance.encode(),
            b"worker": self.worker,
            b"concurrency": self.concurrency,
            b"weight": self.weight,
            b"agent": self.agent.encode(),
        }
        if self.data is not None:
            info[b"bulk"] = info[b"ahead"] = True
        if self.tunnels:
            info[b"tunnel"] = list(self.tunnels)
        return info

    def register(self, reference: int, route: Route) -> m.Register:
        """What asks for C{route}."""
        if route.passthrough:
            return m.Register(reference, route.host, route.path, {b"passthrough": True})
        info: Info = {b"tls": list(self.tls)} if self.tls else {}
        return m.Register(reference, route.host, route.path, info)

    def registered(self, message: m.Registered, log: GuestLog) -> None:
        """Say what we have asked to be told, and are not."""
        if passthrough(message.info):
            return
        told = tls_names(message.info)
        names = ", ".join(name.decode("latin-1") for name in self.tls if name not in told)
        if names:
            log.warn("the proxy tells no {names} of the TLS of clients", names=names)

    def pong(self) -> Info:
        """What C{pong} says of us: override it to tell how many requests you take now."""
        return {}
