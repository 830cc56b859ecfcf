"""
Other hosts and the workers of a parent.

The parent has the store: it publishes what all workers have, and tells all of them what the others
do. It accepts who dials, and passes the connection to the worker that is meant. All that is asked
between hosts goes from worker to worker (L{HostLinks<subproxy.app.host_links.HostLinks>}).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.logger import Logger

from subproxy.app.guest_placing import PATIENCE
from subproxy.app.host_greeting import HostGreetingFactory
from subproxy.app.host_news import HostNews, RouteNews
from subproxy.app.hosts import build_cluster, host_listener
from subproxy.app.listener import ListenerService
from subproxy.app.served_routes import ServedRoutes
from subproxy.cluster.cluster_table import HostCame, RouteCame
from subproxy.cluster.service import ClusterService
from subproxy.config.settings import Settings
from subproxy.core.host_address import parse_peer
from subproxy.core.routing.route import PASSTHROUGH, Route
from subproxy.frontend.peer.host_certificates import HostCertificates
from subproxy.frontend.peer.host_gate import MAX_HANDSHAKES
from subproxy.machines.declaration import Machine
from subproxy.machines.declared_routes import claims_of, routes_of
from subproxy.machines.template import is_template
from subproxy.process.inherited_sockets import InheritedSockets
from subproxy.workers import messages as msg
from subproxy.workers.crew import Crew
from subproxy.workers.host_messages import PassedHost, PeerHostCame, PeerHostLeft
from subproxy.workers.messages import ChannelMessage
from subproxy.workers.slots import Worker

MAX_WAITING: Final = MAX_HANDSHAKES
"""Connections that wait for a worker at most: strangers can dial, too."""

HERE: Final = ""
"""The name that this host has among its own workers."""

Subscription = tuple[int, int]
"""The serial of a worker, and what it calls one of its subscriptions."""


class ClusterHosting(MultiService):
    """
    See above.

    @ivar host: what this host is called.
    @ivar cluster: its part in a cluster; None where an operator has named the others.
    @ivar listeners: what other hosts dial; not children of this.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        certificates: HostCertificates,
        crew: Callable[[], Crew],
        inheritance: InheritedSockets,
        table: Iterable[Iterable[str]] = (),
    ) -> None:
        """
        Prepare.

        @param table: what the former program knew of the store; see L{data}.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.host = certificates.name
        self.listeners: list[ListenerService] = []
        self.cluster: ClusterService | None = None
        self._clock = reactor
        self._crew = crew
        self._named = dict(map(parse_peer, settings.peer))
        self._served = ServedRoutes[Subscription](self._serves, self._serves_no_more)
        self._subscriptions: dict[int, set[int]] = {}
        self._declared: set[Route] = set()
        self._news = HostNews()
        self._waiting: list[tuple[float, int, int, bytes]] = []
        if settings.peer_listen is not None:
            factory = HostGreetingFactory(reactor, self.place)
            self.listeners.append(
                host_listener(reactor, settings.peer_listen, factory, inheritance)
            )
        if settings.cluster:
            self.cluster = build_cluster(reactor, settings, self.host, self)
            self.cluster.view.table.restore(table)
            self.cluster.setServiceParent(self)  # type: ignore[no-untyped-call]

    # The life of the parent.

    def restore(self, routes: Iterable[tuple[int, int, Sequence[str]]]) -> None:
        """
        Go on where the former program was.

        @param routes: what workers that are there already serve: serial, subscription and words.
        """
        for serial, number, words in routes:
            self._subscriptions.setdefault(serial, set()).add(number)
            self._served.served((serial, number), Route.of_words(words), True)

    def data(self) -> list[list[str]]:
        """What the next program has to know of the store, to be written as JSON."""
        return [] if self.cluster is None else self.cluster.view.table.data()

    def pause(self) -> None:
        """Tell workers nothing more: the next program comes, and knows what was told."""
        if self.cluster is not None:
            self.cluster.pause()
        self._flush()

    def go_on(self) -> None:
        """It does not come."""
        if self.cluster is not None:
            self.cluster.go_on()

    def leave(self) -> Deferred[Any]:
        """Let nobody dial, and nothing of this host stand in the store."""
        stopped = [each.stopService() for each in self.listeners]
        left = succeed(None) if self.cluster is None else self.cluster.stopService()
        return gatherResults([left, *stopped])

    def declare(self, machines: Iterable[Machine]) -> None:
        """These machines there are; what they would serve is published."""
        before, self._declared = self._declared, set()
        for machine in machines:
            claims = claims_of(machine)
            self._declared.update(routes_of(claims, one_label=is_template(machine)))
        for route in before - self._declared:
            if not self._served.has(route):
                self._withdraw(route)
        for route in self._declared - before:
            if not self._served.has(route):
                self._publish(route, wakes=True)

    # Workers.

    def introduction(self, worker: Worker) -> list[ChannelMessage]:
        """What C{worker}, which is new, has to know of other hosts."""
        self._tell(self._news.take(), but=worker)
        hosts = {**self._named}
        news = HostNews()
        if self.cluster is not None:
            for change in self.cluster.view.table.changes():
                if isinstance(change, HostCame):
                    hosts[change.name] = change.address
                elif isinstance(change, RouteCame):
                    kind = RouteNews.WAKES if change.wakes else RouteNews.SERVES
                    news.add(change.name, change.route, kind)
        for route in self._served:
            news.add(HERE, route, RouteNews.SERVES)
        for route in self._declared:
            if not self._served.has(route):
                news.add(HERE, route, RouteNews.WAKES)
        return [*(PeerHostCame(name, where) for name, where in hosts.items()), *news.take()]

    def came(self, worker: Worker, said: ChannelMessage) -> None:
        """C{worker} says something of its guests."""
        serial = worker.serial
        match said:
            case msg.RouteServed():
                words = [said.host, said.path, *([PASSTHROUGH] if said.passthrough else ())]
                self._subscriptions.setdefault(serial, set()).add(said.number)
                self._served.served((serial, said.number), Route.of_words(words), said.served)
            case msg.Left():
                self._subscriptions.get(serial, set()).discard(said.number)
                self._served.server_left((serial, said.number))

    def ended(self, worker: Worker) -> None:
        """C{worker} is gone, with its guests."""
        for number in self._subscriptions.pop(worker.serial, ()):
            self._served.server_left((worker.serial, number))

    # What this host serves.

    def _serves(self, route: Route) -> None:
        self._publish(route, wakes=False)

    def _serves_no_more(self, route: Route) -> None:
        if route in self._declared:
            self._publish(route, wakes=True)
        else:
            self._withdraw(route)

    def _publish(self, route: Route, *, wakes: bool) -> None:
        if self.cluster is not None:
            self.cluster.serve(route, wakes)
        self._hear(HERE, route, RouteNews.WAKES if wakes else RouteNews.SERVES)

    def _withdraw(self, route: Route) -> None:
        if self.cluster is not None:
            self.cluster.withdraw(route)
        self._hear(HERE, route, RouteNews.WITHDRAWN)

    # ClusterObserver: what the others are, and serve.

    def host_came(self, name: str, address: str) -> None:
        """See C{ClusterObserver}."""
        self._tell([PeerHostCame(name, address)])

    def host_left(self, name: str) -> None:
        """See C{ClusterObserver}."""
        self._tell([PeerHostLeft(name)])

    def route_came(self, name: str, route: Route, wakes: bool = False) -> None:
        """See C{ClusterObserver}."""
        self._hear(name, route, RouteNews.WAKES if wakes else RouteNews.SERVES)

    def route_left(self, name: str, route: Route) -> None:
        """See C{ClusterObserver}."""
        self._hear(name, route, RouteNews.WITHDRAWN)

    def _hear(self, name: str, route: Route, kind: RouteNews) -> None:
        """What changes within one turn is told at once."""
        if not self._news:
            self._clock.callLater(0, self._flush)
        self._news.add(name, route, kind)

    def _flush(self) -> None:
        self._tell(self._news.take())

    def _tell(self, messages: Iterable[ChannelMessage], but: Worker | None = None) -> None:
        crew = self._crew()
        told = [each for each in crew.slots if each is not but]
        for each in messages:
            crew.tell(told, each)

    # Who dials.

    def place(self, process: int, descriptor: int, data: bytes) -> None:
        """Pass a connection to the worker that it is for, now or as soon as that is there."""
        if self._passed(process, descriptor, data):
            return
        if len(self._waiting) >= MAX_WAITING:
            os.close(descriptor)  # who has not said who he is does not fill this process
        else:
            due = self._clock.seconds() + PATIENCE
            self._waiting.append((due, process, descriptor, data))

    def _passed(self, process: int, descriptor: int, data: bytes) -> bool:
        crew = self._crew()
        worker = crew.slots.serving(process % crew.slots.count)
        if worker is None:
            return False
        crew.send(worker, PassedHost(payload=data, descriptors=(descriptor,)))
        return True

    def retry(self) -> None:
        """A worker is there that was not, or time has passed."""
        waiting, self._waiting = self._waiting, []
        now = self._clock.seconds()
        for due, process, descriptor, data in waiting:
            if self._passed(process, descriptor, data):
                continue
            if now < due:
                self._waiting.append((due, process, descriptor, data))
            else:
                self._log.warn("no worker for a connection of another host: closed")
                os.close(descriptor)
