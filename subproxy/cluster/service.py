"""A host's part in a cluster: it publishes what it serves, and hears what the others do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from subproxy.cluster.cluster_table import (
    Change,
    ClusterTable,
    HostCame,
    HostLeft,
    RouteCame,
    RouteLeft,
)
from subproxy.cluster.publisher import Publisher
from subproxy.cluster.records import host_key, host_value, route_key, route_value
from subproxy.cluster.store import Store
from subproxy.cluster.store_view import StoreView
from subproxy.core.routing.route import Route


class ClusterObserver(Protocol):
    """Who hears what the other hosts are, and serve."""

    def host_came(self, name: str, address: str) -> None:
        """Host C{name} takes part, and is dialled at C{address} from now on."""

    def host_left(self, name: str) -> None:
        """It does no more."""

    def route_came(self, name: str, route: Route, wakes: bool = False) -> None:
        """Guests of host C{name} serve C{route}; or it C{wakes} a machine that will."""

    def route_left(self, name: str, route: Route) -> None:
        """They do no more."""


class ClusterService(Service):
    """
    See above.

    @param name: of this host, as its certificate has it.
    @param address: where the others dial it.
    @param random: from 0 to 1.
    @ivar view: what is known of the others.
    @ivar publisher: what is said of this one.
    """

    def __init__(
        self,
        clock: Any,
        store: Store,
        prefix: str,
        name: str,
        address: str,
        observer: ClusterObserver,
        random: Callable[[], float],
    ) -> None:
        self.host = name
        self.address = address
        self._clock = clock
        self._prefix = prefix
        self._observer = observer
        self.publisher = Publisher(clock, store, random)
        self.publisher.publication.want(host_key(prefix, name), host_value(address))
        table = ClusterTable(prefix, name)
        self._new_view: Callable[[], StoreView] = lambda: StoreView(
            clock, store, prefix, table, self._changed, random
        )
        self.view = self._new_view()

    def startService(self) -> None:
        """Publish, and hear."""
        super().startService()  # type: ignore[no-untyped-call]
        self.view.begin()
        self.publisher.begin()

    def stopService(self) -> Deferred[None]:
        """Hear no more, and let nothing of this host stand in the store."""
        super().stopService()  # type: ignore[no-untyped-call]
        self.view.close()
        return self.publisher.close()

    def pause(self) -> None:
        """Hear nothing of the others until L{go_on}: a process that knows the same takes over."""
        self.view.close()

    def go_on(self) -> None:
        """Hear of the others again; after L{pause}, if it came to that."""
        self.view.close()
        self.view = self._new_view()
        self.view.begin()

    def serve(self, route: Route, wakes: bool = False) -> None:
        """A guest serves C{route}, which none has done; or a machine that it C{wakes} would."""
        key = route_key(self._prefix, self.host, route)
        self.publisher.publication.want(key, route_value(route, wakes=wakes))
        self._look()

    def withdraw(self, route: Route) -> None:
        """None does any more."""
        self.publisher.publication.unwant(route_key(self._prefix, self.host, route))
        self._look()

    def freeze(self) -> None:
        """Another process of this host publishes from now on; what this one has stays."""
        self.publisher.freeze()

    def _look(self) -> None:
        if self.running:
            self.publisher.look()

    def data(self) -> dict[str, Any]:
        """How it is, as plain data."""
        view, publication = self.view, self.publisher.publication
        return {
            "host": self.host,
            "address": self.address,
            "state": view.state.name.lower(),
            "stale": view.stale,
            "stale_for": round(self._clock.seconds() - view.since, 3) if view.stale else 0.0,
            "lease": self.publisher.state.name.lower(),
            "published": len(publication),
            "unpublished": publication.pending,
        }

    def _changed(self, change: Change) -> None:
        match change:
            case HostCame():
                self._observer.host_came(change.name, change.address)
            case HostLeft():
                self._observer.host_left(change.name)
            case RouteCame():
                self._observer.route_came(change.name, change.route, change.wakes)
            case RouteLeft():
                self._observer.route_left(change.name, change.route)
