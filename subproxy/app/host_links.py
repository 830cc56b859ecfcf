"""
The connections of this proxy with those of other hosts: those that ask it, and those that it asks.

Each host dials all others, and what it dials for is that they ask what its guests serve. So who is
asked has dialled in here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
)
from twisted.logger import Logger

from subproxy.app.served_routes import ServedRoutes
from subproxy.core.access.log_limit import LogLimit
from subproxy.core.balancing.member import HOSTS, Member, MemberState, is_host, is_peer
from subproxy.core.dispatcher import Dispatcher
from subproxy.core.exchange import Exchange
from subproxy.core.host_address import split_address
from subproxy.core.printable import printable
from subproxy.core.routing.route import Route
from subproxy.frontend.peer.dialer import DialState, HostDialer
from subproxy.frontend.peer.host_certificates import HostCertificates
from subproxy.frontend.peer.host_dialers import HostDialers
from subproxy.frontend.peer.host_gate import HostGateFactory
from subproxy.frontend.peer.host_protocol import HostPeerProtocol
from subproxy.frontend.peer.peer_data_connection import PeerDataConnection
from subproxy.frontend.peer.peer_data_pool import PeerDataPool
from subproxy.frontend.peer.process_place import ProcessPlace, server_name
from subproxy.subscription.factory import SubscriptionFactory
from subproxy.subscription.guest_observer import GuestObserver
from subproxy.subscription.host_registrar import HostRegistrar
from subproxy.subscription.interfaces import ActiveSubscription, AdmittedConnection
from subproxy.subscription.protocol import SubscriptionProtocol
from subproxy.subscription.states import SubscriptionState

MAX_FROM_A_HOST: Final = 1024
"""Connections that another host may have here: those by which it is asked, and for bodies."""

MAX_BODIES_FROM_A_HOST: Final = 768
"""
Those for bodies among them. Bodies that would need more go in frames; a process of that host that
comes in the place of another one is to be asked, however many are under way.
"""


class RoutePublisher(Protocol):
    """Who tells all hosts what this one serves: L{subproxy.cluster.service.ClusterService}."""

    def serve(self, route: Route) -> None:
        """A guest serves C{route}, which none has done."""

    def withdraw(self, route: Route) -> None:
        """None does any more."""

    def freeze(self) -> None:
        """Another process of this host tells it from now on."""

    def stopService(self) -> Deferred[None]:
        """Nothing of this host is served any more."""


class HostSubscriptions(SubscriptionFactory):
    """
    The hosts that are asked.

    @ivar renewed: hears of which host another process has come, in the place of which.
    """

    renewed: Callable[[str, int], None]

    def carries(self, protocol: AdmittedConnection) -> bool:
        """Whether C{protocol} may stay, though it is for bodies: see L{MAX_BODIES_FROM_A_HOST}."""
        identity, state = protocol.identity, SubscriptionState.DATA
        found = (each for each in self.subscriptions if each.identity == identity)
        return sum(each.state is state for each in found) < MAX_BODIES_FROM_A_HOST

    def greeted(self, subscription: ActiveSubscription, replaced: Member | None) -> None:
        """C{subscription} begins; its routes are there before those of who is replaced go."""
        registrar = self.context.registrar
        assert isinstance(registrar, HostRegistrar)
        member = subscription.member
        registrar.joined(member)
        super().greeted(subscription, replaced)
        if replaced is not None and replaced.instance != member.instance:
            self.renewed(member.identity.removeprefix(HOSTS), member.worker)


class HostLinks(GuestObserver):
    """
    See above. It hears what this host's own guests serve, and which hosts there are.

    @param factory: the other hosts, as who is asked.
    @param random: from 0 to 1.
    @param place: which process of this host this is.
    @ivar protocol: makes what serves a host that asks.
    @ivar publisher: tells what is served here; None: that is not for this process to do.
    @ivar onward: see C{LocalDispatcher}.
    @ivar tells: each host that asks is told over its connection what is served here.
    @ivar alone: see L{PeerLinks<subproxy.app.peer_links.PeerLinks>}; a host always is.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        dispatcher: Dispatcher,
        registrar: HostRegistrar,
        factory: HostSubscriptions,
        certificates: HostCertificates,
        random: Callable[[], float],
        place: ProcessPlace = ProcessPlace(),  # noqa: B008 (it is frozen)
    ) -> None:
        self.factory = factory
        factory.renewed = self._renewed
        self.tells = True
        self.protocol: Callable[..., HostPeerProtocol] = HostPeerProtocol
        self.publisher: RoutePublisher | None = None
        self.alone = True
        self._reactor = reactor
        self._dispatcher = dispatcher
        self._registrar = registrar
        self._certificates = certificates
        self._random = random
        self._place = place
        self.onward = place.processes > 1
        self._instance = secrets.token_hex(8)
        self._served = ServedRoutes[Member](self.serve, self.withdraw)
        self._here: dict[Route, bool] = {}
        self._dialers: dict[str, HostDialers] = {}
        self._routes: dict[str, set[Route]] = {}
        self._asking: list[HostPeerProtocol] = []
        self._limit = LogLimit()
        self._stopped = False

    @property
    def host(self) -> str:
        """What this host is called."""
        return self._certificates.name

    def dispatch_here(self, exchange: Exchange) -> None:
        """See C{LocalDispatcher}."""
        self._dispatcher.dispatch_here(exchange, self.goes_no_further, patient=True)

    def goes_no_further(self, member: Member) -> bool:
        """See C{LocalDispatcher}: another worker of this host may have the guest, no other host."""
        return is_host(member) if self.onward else is_peer(member)

    # Who is asked.

    def listener(self) -> Any:
        """What takes in other hosts."""
        return self._certificates.server(
            HostGateFactory(self._reactor, self._admit, self._not_admitted), self._reactor
        )

    def _admit(self, name: str) -> SubscriptionProtocol | None:
        identity = HOSTS + name
        if name == self.host:
            return None
        if self.factory.connections_of(identity) >= MAX_FROM_A_HOST:
            self._not_admitted(f"{printable(name)} has {MAX_FROM_A_HOST} connections already")
            return None
        return self.factory.passed(identity)

    def _not_admitted(self, reason: str) -> None:
        if self._limit.admit(self._reactor.seconds()) is not None:
            self._log.warn("a host is not let in: {reason}", reason=reason)

    # Who asks.

    def host_came(self, name: str, address: str) -> None:
        """Let host C{name} ask what is served here; it is at C{address}."""
        if name == self.host or self._stopped:
            return
        self.host_left(name)
        dialers = self._dialers[name] = HostDialers(
            self._reactor,
            name,
            address,
            self._place,
            lambda dialer: self._dial(dialers, dialer),
            self._random,
        )
        dialers.begin()

    def host_left(self, name: str) -> None:
        """Dial it no more; a connection that there is stays."""
        dialers = self._dialers.pop(name, None)
        if dialers is not None:
            dialers.stop()

    def _renewed(self, name: str, process: int) -> None:
        """It has dialled, and is to be dialled before the one in whose place it is has ended."""
        dialers = self._dialers.get(name)
        if dialers is not None:
            dialers.replaced(process)

    def _dial(self, dialers: HostDialers, dialer: HostDialer) -> Deferred[Any]:
        attempt = dialer.attempt

        def begun(processes: int) -> None:
            dialer.begun()
            dialers.learned(processes)

        def admit(name: str) -> HostPeerProtocol | None:
            if name != dialer.name or not dialer.reached():
                return None
            data = PeerDataPool(self._reactor, lambda each: self._dial_data(dialer, each))
            protocol = self.protocol(
                self,
                self._here if self.tells else {},
                self.host,
                self._instance,
                self._reactor,
                begun,
                lambda: dialer.left(attempt),
                self._place.process,
                data,
            )
            self._asking = [each for each in self._asking if each.connected]
            self._asking.append(protocol)
            return protocol

        return self._connect(dialer, HostGateFactory(self._reactor, admit, dialer.refused))

    def _dial_data(self, dialer: HostDialer, connection: PeerDataConnection) -> Deferred[Any]:
        """Let C{connection} carry bodies of what is asked over the connection of C{dialer}."""

        def admit(name: str) -> PeerDataConnection | None:
            return connection if name == dialer.name and connection.wanted else None

        return self._connect(dialer, HostGateFactory(self._reactor, admit, connection.refused))

    def _connect(self, dialer: HostDialer, gate: HostGateFactory) -> Deferred[Any]:
        endpoint = endpoint_of(self._reactor, dialer.address)
        called = server_name(dialer.process, dialer.name)
        connecting: Deferred[Any] = endpoint.connect(
            self._certificates.client(gate, self._reactor, called)
        )
        return connecting

    # What others serve, where the store says it.

    def route_came(self, name: str, route: Route, wakes: bool = False) -> None:
        """Guests of host C{name} serve C{route}; or a machine would, which it C{wakes}."""
        self._routes.setdefault(name, set()).add(route)
        self._registrar.offer(name, route, wakes)

    def route_left(self, name: str, route: Route) -> None:
        """They do no more."""
        known = self._routes.get(name, set())
        known.discard(route)
        if not known:
            self._routes.pop(name, None)
        self._registrar.withdraw(name, route)

    # What this host's guests serve.

    def served(self, member: Member, route: Route, served: bool) -> None:
        """See L{GuestObserver}."""
        self._served.served(member, route, served)

    def left(self, member: Member) -> None:
        """See L{GuestObserver}."""
        self._served.server_left(member)

    def serve(self, route: Route, wakes: bool = False) -> None:
        """This host has guests for C{route}; or a machine, which it C{wakes} for who asks."""
        self._here[route] = wakes
        self._registrar.own(route, True)
        if self.publisher is not None:
            self.publisher.serve(route)
        if self.tells:
            for each in self._asking:
                each.serve(route, wakes)

    def withdraw(self, route: Route) -> None:
        """It has none any more."""
        self._here.pop(route, None)
        self._registrar.own(route, False)
        if self.publisher is not None:
            self.publisher.withdraw(route)
        if self.tells:
            for each in self._asking:
                each.withdraw(route)

    # The end.

    def drain(self) -> None:
        """Another process of this host is there: let all hosts ask that one."""
        self._stop_dialling()
        if self.publisher is not None:
            self.publisher.freeze()
        for each in self._asking:
            each.drain()

    def ask_no_more(self) -> None:
        """Clients here want nothing more, as far as can be told: let all hosts leave this one."""
        self.factory.drain()

    def when_idle(self) -> Deferred[Any]:
        """Fires when nobody waits for an answer."""
        return DeferredList([each.when_idle() for each in self._asking if each.connected])

    def leave(self) -> Deferred[Any]:
        """
        Ask nobody any more; fires when nobody asks here.

        What is under way is answered. Others hear that nothing new is taken.
        """
        self._stop_dialling()
        waiting: list[Deferred[Any]] = []
        if self.publisher is not None:
            waiting.append(self.publisher.stopService())
        for each in self._asking:
            each.drain()
        waiting.append(self.factory.close(b"shutdown", "the proxy stops"))
        waiting.append(self.when_idle())
        return DeferredList(waiting, consumeErrors=True)

    def _stop_dialling(self) -> None:
        self._stopped = True
        for name in list(self._dialers):
            self.host_left(name)

    # For people.

    def counts(self) -> tuple[int, int]:
        """How many hosts can be asked, and how many ask."""
        connected = sum(each.state is DialState.CONNECTED for each in self._dialers.values())
        return len(self._registrar.data()), connected

    def data(self) -> list[dict[str, Any]]:
        """All other hosts that are known, as plain data."""
        asked = self._registrar.data()
        found = []
        for name in sorted({*self._dialers, *self._routes, *asked}):
            dialer, members = self._dialers.get(name), asked.get(name, [])
            known = len(self._routes.get(name, ()))
            found.append(
                {
                    "host": name,
                    "address": "" if dialer is None else dialer.address,
                    "asks": "no" if dialer is None else dialer.state.name.lower(),
                    "asked": _state(members),
                    "routes": max([known, *(len(each.pools) for each in members)]),
                    "latency": round(min(each.latency for each in members), 6) if members else None,
                    "in_flight": sum(each.in_flight for each in members),
                }
            )
        return found


def _state(members: list[Member]) -> str:
    """That of a host: the best of those of its processes."""
    return MemberState(min(each.state for each in members)).name.lower() if members else "no"


def endpoint_of(reactor: Any, address: str) -> Any:
    """Where C{address} is dialled; a name is looked up anew each time."""
    host, port = split_address(address)
    if ":" in host:
        return TCP6ClientEndpoint(reactor, host, port)
    if host.replace(".", "").isdigit():
        return TCP4ClientEndpoint(reactor, host, port)
    return HostnameEndpoint(reactor, host, port)
