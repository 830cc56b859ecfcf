"""
What other processes of the proxy offer to this one: the routes of their guests.

A guest that has a subscription here is asked directly. So another process is in the pool of a route
only while no guest serves that here; what it offers is remembered for then.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from subproxy.core.access.policy import Policy, Quotas
from subproxy.core.balancing.member import Member, is_peer
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.route import Route, RouteRefused
from subproxy.subscription.registrar import Registrar
from subproxy.wire import messages as m
from subproxy.wire.info import passthrough

MOST = 1 << 30

UNLIMITED = Quotas(
    routes=MOST,
    connections=MOST,
    exchanges=MOST,
    buffer=MOST,
    registrations=MOST,
    tunnels=MOST,
)
"""What is held for them is held for guests, who have their quotas where they are."""


class PeerRegistrar(Registrar):
    """Keeps what other processes offer, beside the registrar of this one's own guests."""

    def __init__(
        self,
        registry: Registry,
        now: Callable[[], float],
        changed: Callable[[Member], None],
    ) -> None:
        super().__init__(registry, now, changed, Policy(passthrough=True))
        self._offers: dict[Route, list[Member]] = {}

    def quotas(self, identity: str) -> Quotas:
        """There are none: see L{UNLIMITED}."""
        return UNLIMITED

    def register(
        self, member: Member, message: m.Register, tunnels: Container[bytes] = ()
    ) -> m.Registered | m.Refused:
        """Another process offers a route."""
        reference = message.reference
        try:
            route = Route(
                message.host, message.path, lazy=True, passthrough=passthrough(message.info)
            )
            route.compile()
        except RouteRefused as refusal:
            return m.Refused(reference, refusal.code.encode(), refusal.reason.encode()[:1024])
        self._routes[member][reference] = route
        self._offers.setdefault(route, []).append(member)
        if not self._served_here(route):
            self._join(member, route)
        return m.Registered(reference, {b"passthrough": True} if route.passthrough else {})

    def unregister(self, member: Member, message: m.Unregister) -> m.Unregistered | None:
        """It takes the offer back."""
        route = self._routes[member].pop(message.reference, None)
        if route is None:
            return None
        self._withdraw(member, route)
        self.registry.unregister(member, route, self.now())
        return m.Unregistered(message.reference)

    def leave(self, member: Member) -> None:
        """It is gone, and all that it offered."""
        for route in self._routes.get(member, {}).values():
            self._withdraw(member, route)
        super().leave(member)

    def came(self, route: Route) -> None:
        """A guest serves C{route} here: nobody else is asked for it."""
        for member in self._offers.get(route, ()):
            self.registry.unregister(member, route, self.now())

    def left(self, route: Route) -> None:
        """A guest no longer serves C{route} here: others may be asked, if it was the last."""
        if route in self._offers and not self._served_here(route):
            for member in self._offers[route]:
                self._join(member, route)
                self.changed(member)

    def _served_here(self, route: Route) -> bool:
        pool = self.registry.pool(route)
        return pool is not None and not all(map(is_peer, pool.members))

    def _join(self, member: Member, route: Route) -> None:
        try:
            self.registry.register(member, route, self.now(), limited=False)
        except RouteRefused as refusal:
            self._log.warn("{route} can't be had: {why}", route=str(route), why=refusal.reason)

    def _withdraw(self, member: Member, route: Route) -> None:
        offering = self._offers.get(route, [])
        if member in offering:
            offering.remove(member)
        if not offering:
            self._offers.pop(route, None)
