"""The connections of one worker with all others: those that ask it, and those that it asks."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from subproxy.app.served_routes import ServedRoutes
from subproxy.core.balancing.member import PEERS, Member, is_peer
from subproxy.core.dispatcher import Dispatcher
from subproxy.core.exchange import Exchange
from subproxy.core.routing.route import Route
from subproxy.frontend.peer.peer_data_connection import PeerDataConnection
from subproxy.frontend.peer.peer_data_pool import PeerDataPool
from subproxy.frontend.peer.protocol import PeerProtocol
from subproxy.subscription.factory import SubscriptionFactory
from subproxy.subscription.peer_registrar import PeerRegistrar
from subproxy.workers.guest_connection import begin_connection
from subproxy.workers.messages import ChannelMessage
from subproxy.workers.peer_messages import PeerDataWanted


class PeerLinks:
    """
    See above. It hears what the worker's own guests serve, and tells the others.

    @param send: tells the parent, which makes data connections.
    @ivar factory: the other workers, as who is asked.
    @ivar protocol: makes what serves one that asks.
    @ivar alone: this worker ends, and the others do not.
    @ivar onward: see C{LocalDispatcher}.
    """

    def __init__(
        self,
        reactor: Any,
        dispatcher: Dispatcher,
        registrar: PeerRegistrar,
        factory: SubscriptionFactory,
        process: int,
        send: Callable[[ChannelMessage], None],
    ) -> None:
        self.factory = factory
        self.protocol: Callable[..., PeerProtocol] = PeerProtocol
        self._reactor = reactor
        self._dispatcher = dispatcher
        self._registrar = registrar
        self._process = process
        self._send = send
        self._wanted: dict[int, deque[PeerDataConnection]] = {}
        self._served = ServedRoutes[Member](self._route_came, self._route_left)
        self._asking: list[PeerProtocol] = []
        self._asked: list[Any] = []
        self.alone = False
        self.onward = False

    def dispatch_here(self, exchange: Exchange) -> None:
        """See C{LocalDispatcher}."""
        self._dispatcher.dispatch_here(exchange, self.goes_no_further)

    def goes_no_further(self, member: Member) -> bool:
        """See C{LocalDispatcher}: guests of this process answer, and nobody else."""
        return is_peer(member)

    # Connections.

    def connect(self, descriptor: int, serial: int, asks: bool) -> None:
        """Begin with another worker: this one C{asks} it, or is asked."""
        identity = f"{PEERS}{serial}"
        protocol: Any
        if asks:
            protocol = self.factory.passed(identity)
            self._asked = [each for each in self._asked if each.transport.connected]
            self._asked.append(protocol)
        else:
            data = PeerDataPool(self._reactor, lambda each: self._dial_data(serial, each), True)
            protocol = self.protocol(self, self._process, self._served, data=data)
            self._asking = [each for each in self._asking if each.connected]
            self._asking.append(protocol)
        begin_connection(self._reactor, descriptor, identity, protocol, b"")

    def _dial_data(self, serial: int, connection: PeerDataConnection) -> Deferred[Any]:
        self._wanted.setdefault(serial, deque()).append(connection)
        self._send(PeerDataWanted(serial))
        return Deferred()

    def data_came(self, serial: int, descriptors: tuple[int, ...]) -> None:
        """A data connection to that worker, which was wanted; without one, it is gone."""
        wanted = self._wanted.get(serial)
        connection = wanted.popleft() if wanted else None
        if not wanted:
            self._wanted.pop(serial, None)
        for descriptor in descriptors:
            if connection is None or not connection.wanted:
                os.close(descriptor)
            else:
                begin_connection(self._reactor, descriptor, "a worker", connection, b"")
        if connection is not None and not descriptors:
            connection.refused("it is gone")

    def drain(self) -> None:
        """Let nobody ask anything new."""
        for each in self._asking:
            each.drain()

    def ask_no_more(self) -> None:
        """The others stay connected, until this one ends."""

    def when_idle(self) -> Deferred[Any]:
        """Fires when nobody waits for an answer."""
        return DeferredList([each.when_idle() for each in self._asking])

    def leave(self) -> Deferred[Any]:
        """
        Ask nobody any more; fires when nobody will ask here.

        Where all workers stop, each has finished what it asks when it closes its connections. The
        others do not, where this one goes C{alone}: they are told to ask nothing new.
        """
        if self.alone:
            self.drain()
            return self.when_idle()
        for each in self._asked:
            each.transport.loseConnection()
        return DeferredList([each.when_gone() for each in self._asking])

    # What the worker's own guests serve.

    def served(self, member: Member, route: Route, served: bool) -> None:
        """C{member} has registered C{route}, or no longer has it."""
        self._served.served(member, route, served)

    def left(self, member: Member) -> None:
        """C{member} has nothing any more."""
        self._served.server_left(member)

    def _route_came(self, route: Route) -> None:
        self._registrar.came(route)
        for each in self._asking:
            each.serve(route)

    def _route_left(self, route: Route) -> None:
        self._registrar.left(route)
        for each in self._asking:
            each.withdraw(route)
