"""Makes the subscriptions of one application instance: what outlives a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from typing import Protocol as Structure

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.logger import Logger

from guest.core.errors import RegistrationRefused
from guest.core.process_share import ProcessShare
from guest.core.profile import SubscriberProfile
from guest.core.route import Route
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


class SubscriberFactory(SubscriberProfile, ClientFactory[Protocol]):
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
        super().__init__(
            application,
            routes,
            worker=worker,
            concurrency=concurrency,
            weight=weight,
            limits=limits,
            instance=instance,
            drain_timeout=drainTimeout,
            agent=agent,
        )
        self.protocol = protocol
        self.clock: Any = clock
        self.announcer: Announcer = LogAnnouncer()

    def buildProtocol(self, addr: Any) -> Any:
        """See C{IProtocolFactory}: the protocol says what tunnels it takes."""
        protocol: Any = super().buildProtocol(addr)
        self.tunnels = protocol.tunnel_protocols()
        return protocol

    def sharing(self, share: ProcessShare) -> ClientFactory[Protocol]:
        """What makes subscriptions of this factory that have C{share} of its instance."""
        return _SharingFactory(self, share)

    @property
    def drainTimeout(self) -> float:
        """How long requests may take after C{SubscriberProtocol.drain}, in seconds."""
        return self.drain_timeout

    @drainTimeout.setter
    def drainTimeout(self, seconds: float) -> None:
        self.drain_timeout = seconds


class _SharingFactory(ClientFactory[Protocol]):
    """Makes what another factory makes, and tells it its share."""

    noisy = False

    def __init__(self, factory: SubscriberFactory, share: ProcessShare) -> None:
        self._factory = factory
        self._share = share

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """A connection has been made."""
        protocol: Protocol | None = self._factory.buildProtocol(addr)
        if protocol is not None:
            protocol.share = self._share  # type: ignore[attr-defined]
        return protocol
