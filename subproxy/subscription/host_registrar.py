"""
What other hosts serve: they are members of pools beside the guests of this one.

Which routes a host has it says itself, where hosts are named by an operator; or the store of the
cluster says it, and then nobody else may. Who it is, its certificate has said.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from subproxy.core.balancing.latency import UNKNOWN
from subproxy.core.balancing.member import HOSTS, Member, is_peer
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.route import Route, RouteRefused
from subproxy.subscription.peer_registrar import PeerRegistrar
from subproxy.subscription.registrar import HelloRefused
from subproxy.wire import messages as m
from subproxy.wire.fields import Info
from subproxy.wire.info import peer

NOT_HERE = "the routes of hosts come from the store of the cluster"


class HostRegistrar(PeerRegistrar):
    """
    See above.

    @param told: the store says which routes hosts have.
    """

    def __init__(
        self,
        registry: Registry,
        now: Callable[[], float],
        changed: Callable[[Member], None],
        told: bool,
    ) -> None:
        super().__init__(registry, now, changed)
        self._told = told
        self._known: dict[str, dict[Route, None]] = {}
        self._here: dict[str, Member] = {}

    # What hosts say.

    def hello(self, identity: str, info: Info) -> tuple[Member, Member | None]:
        """A host greets; what it has is asked of it as soon as it has C{joined}."""
        said = peer(info)
        if said is None or HOSTS + said.host.decode("latin-1") != identity:
            raise HelloRefused(b"hello", "hello: its peer is not the host of its certificate")
        return super().hello(identity, info)

    def register(
        self, member: Member, message: m.Register, tunnels: Container[bytes] = ()
    ) -> m.Registered | m.Refused:
        """A host offers a route."""
        if self._told:
            return m.Refused(message.reference, b"policy", NOT_HERE.encode())
        return super().register(member, message, tunnels)

    def joined(self, member: Member) -> None:
        """It has greeted, and can be asked."""
        self._here[member.identity] = member
        for route in self._known.get(member.identity, ()):
            self._join(member, route)
        self.changed(member)

    def measured(self, member: Member, seconds: float) -> None:
        """
        A ping of a host took C{seconds} there and back.

        Its proxy has answered, not the guest that will be asked, which is as far behind it as the
        guests here are: so it counts as farther than each of those that serve the same.
        """
        near = [
            other.latency
            for pool in member.pools
            for other in pool.members
            if other.latency_at != UNKNOWN and not is_peer(other)
        ]
        member.observe(seconds + max(near, default=0.0), self.now())

    def leave(self, member: Member) -> None:
        """Its connection is gone, or another one has taken its place."""
        if self._here.get(member.identity) is member:
            del self._here[member.identity]
        super().leave(member)

    # What the store says.

    def offer(self, host: str, route: Route) -> None:
        """C{host} serves C{route}."""
        identity = HOSTS + host
        try:
            route.compile()
        except RouteRefused as refusal:
            self._log.warn(
                "{host} serves {route}, which is none here: {why}",
                host=host,
                route=str(route),
                why=refusal.reason,
            )
            return
        self._known.setdefault(identity, {})[route] = None
        member = self._here.get(identity)
        if member is not None:
            self._join(member, route)
            self.changed(member)
        else:
            # Until the host has dialled, requests wait as for a guest that restarts.
            self.registry.expect(identity, route, self.now(), limited=False)

    def withdraw(self, host: str, route: Route) -> None:
        """It does no more."""
        identity = HOSTS + host
        known = self._known.get(identity, {})
        known.pop(route, None)
        if not known:
            self._known.pop(identity, None)
        member = self._here.get(identity)
        if member is not None:
            self.registry.unregister(member, route, self.now())

    def data(self) -> dict[str, Member]:
        """The hosts that can be asked, by name."""
        return {identity.removeprefix(HOSTS): member for identity, member in self._here.items()}

    def _served_here(self, route: Route) -> bool:
        """A host is asked beside the guests of this one."""
        return False
