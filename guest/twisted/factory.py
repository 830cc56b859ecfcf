"""Makes the subscriptions of one application instance: what outlives a connection."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any
from typing import Protocol as Structure

from twisted.internet.protocol import ClientFactory, Protocol
from twisted.logger import Logger

from guest.core.errors import RegistrationRefused
from guest.core.route import Route
from guest.twisted.data_connection import DataPool
from subproxy.wire.fields import Info
from subproxy.wire.limits import DEFAULT_WEIGHT, Limits


class Announcer(Structure):
    """
    Hears of every registration of a factory's subscriptions.

    Each method is given the L{SubscriberProtocol<guest.twisted.subscriber.SubscriberProtocol>}
    whose route it is.
    """

    def registered(self, protocol: Protocol, route: Route) -> None:
        """A route is ours."""

    def refused(self, protocol: Protocol, refusal: RegistrationRefused) -> None:
        """A route is not ours."""


class LogAnnouncer:
    """Tells the log."""

    _log = Logger()

    def registered(self, protocol: Protocol, route: Route) -> None:
        """A route is ours."""
        self._log.info("registered {route}", route=route)

    def refused(self, protocol: Protocol, refusal: RegistrationRefused) -> None:
        """A route is not ours."""
        self._log.error("refused {refusal}", refusal=refusal)


def _random() -> str:
    return os.urandom(8).hex()


class SubscriberFactory(ClientFactory[Protocol]):
    """
    Makes the subscriptions of one application instance.

    @ivar routes: registered on each connection at once.
    @ivar instance: the random id of this instance (docs/protocol.md, "Instances").
    @ivar announcer: hears of every registration.
    @ivar data: dials data connections for large bodies; None: those go the common way, too.
        L{SubscriberService<guest.service.SubscriberService>} sets it.
    """

    noisy = False

    def __init__(
        self,
        protocol: Callable[[], Protocol],
        application: str,
        routes: Iterable[Route] = (),
        *,
        clock: Any = None,
        worker: int = 0,
        concurrency: int = 0,
        weight: int = DEFAULT_WEIGHT,
        limits: Limits | None = None,
        instance: str | None = None,
        drainTimeout: float = 30.0,
        agent: str = "subproxy guest",
    ) -> None:
        """
        Describe an application.

        @param protocol: makes a C{SubscriberProtocol}: its class.
        @param application: its name, 1 to 128 bytes.
        @param clock: an L{IReactorTime}; the global reactor if None.
        @param worker: which of several equal processes in this VM this is (L{guest.cli.worker}).
        @param concurrency: most requests at a time; 0 for no limit.
        @param weight: how much of the requests we want, 1 to 1,000, relative to others of the
            same routes.
        @param limits: what we take from the proxy.
        @param drainTimeout: how long requests may take after C{SubscriberProtocol.drain}, seconds.
        """
        if clock is None:
            from twisted.internet import reactor as clock
        self.protocol = protocol
        self.application = application
        self.routes = list(routes)
        self.clock: Any = clock
        self.worker = worker
        self.concurrency = concurrency
        self.weight = weight
        self.limits = limits or Limits()
        self.instance = instance or _random()
        self.drainTimeout = drainTimeout
        self.agent = agent
        self.announcer: Announcer = LogAnnouncer()
        self.data: DataPool | None = None

    def renew(self) -> None:
        """Be another instance from the next connection on: this id is somebody else's, too."""
        self.instance = _random()

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
            info[b"bulk"] = True
        return info

    def pong(self) -> Info:
        """What C{pong} says of us: override it to tell how many requests you take now."""
        return {}
