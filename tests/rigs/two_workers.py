"""Two workers in memory, each a whole proxy, that ask each other; the bytes between them move."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from subproxy.core.balancing.member import PEERS, Member, is_peer
from subproxy.core.exchange import Exchange
from subproxy.core.routing.route import Route
from subproxy.frontend.peer.protocol import PeerProtocol
from subproxy.subscription.factory import SubscriptionFactory
from subproxy.subscription.guest_observer import GuestObserver
from subproxy.subscription.peer_registrar import PeerRegistrar
from subproxy.subscription.protocol import SubscriptionProtocol
from subproxy.subscription.settings import SubscriptionSettings
from tests.rigs.world import World


class Worker(World):
    """A proxy that may ask others, and be asked."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.peers = PeerRegistrar(self.registry, self.clock.seconds, self.dispatcher.capacity)
        self.peer_factory = SubscriptionFactory(
            self.clock,
            self.dispatcher,
            self.peers,
            lambda transport: "",
            SubscriptionSettings(bulk=None),
        )
        self.serves: list[PeerProtocol] = []

    def dispatch_here(self, exchange: Exchange) -> None:
        """See C{LocalDispatcher}."""
        self.dispatcher.dispatch_here(exchange, is_peer)

    onward = False

    def goes_no_further(self, member: Member) -> bool:
        return is_peer(member)


class _Observer(GuestObserver):
    """Tells the other worker what the guests of one serve."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._routes: dict[Member, list[Route]] = {}

    def served(self, member: Member, route: Route, served: bool) -> None:
        routes = self._routes.setdefault(member, [])
        if served:
            routes.append(route)
            self._worker.peers.came(route)
        else:
            routes.remove(route)
            self._worker.peers.left(route)
        for each in self._worker.serves:
            (each.serve if served else each.withdraw)(route)

    def left(self, member: Member) -> None:
        for route in list(self._routes.get(member, ())):
            self.served(member, route, False)


class Line:
    """One direction: C{asking} asks C{serving}."""

    def __init__(self, asking: Worker, serving: Worker) -> None:
        self.asking, self.serving = asking, serving
        self.asked: SubscriptionProtocol = asking.peer_factory.passed(f"{PEERS}{serving.number}")
        self.peer = PeerProtocol(serving, serving.number, ())
        serving.serves.append(self.peer)
        self.ends: tuple[tuple[Any, StringTransport], ...] = (
            (self.asked, StringTransport()),
            (self.peer, StringTransport()),
        )
        for protocol, transport in self.ends:
            protocol.makeConnection(transport)

    def pump(self) -> bool:
        """Move what was said; whether anything was."""
        moved = False
        for (_, transport), (other, _) in zip(self.ends, reversed(self.ends), strict=True):
            said = transport.value()
            transport.clear()
            if said:
                moved = True
                other.dataReceived(said)
        return moved

    def lose(self) -> None:
        """The process that serves is gone."""
        self.serving.serves.remove(self.peer)
        self.asked.connectionLost(Failure(ConnectionDone()))


class TwoWorkers:
    """Two of them, connected both ways."""

    def __init__(self) -> None:
        self.one, self.two = Worker(1), Worker(2)
        for worker in (self.one, self.two):
            worker.registrar.observer = _Observer(worker)
        self.lines = [Line(self.one, self.two), Line(self.two, self.one)]
        self.guests: list[Any] = []
        self.pump()

    def serving(self, worker: Worker, *more: Any, **other: Any) -> Any:
        """A guest of C{worker}, which serves C{a.example}."""
        guest = worker.serving(*more, **other)
        self.guests.append(guest)
        self.pump()
        return guest

    def awaited(self, worker: Worker) -> Any:
        """A guest of C{worker}, for whom requests have waited."""
        guest = worker.guest("2")
        self.guests.append(guest)
        guest.hello()
        guest.register(b"a\\.example")
        self.pump()
        return guest

    def pump(self) -> None:
        """Move all until nothing does."""
        while True:
            for guest in self.guests:
                guest.pump()
            moved = [line.pump() for line in self.lines]
            if not any(moved) and not any(each.transport.value() for each in self.guests):
                return
