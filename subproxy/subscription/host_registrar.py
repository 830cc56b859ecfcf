"""
What other hosts serve: they are members of pools beside the guests of this one.

Which routes a host has it says itself, where hosts are named by an operator; or the store of the
cluster says it, and then nobody else may. Who it is, its certificate has said.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from subproxy.core.access.epochs import Epochs
from subproxy.core.balancing.latency import UNKNOWN
from subproxy.core.balancing.member import HOSTS, Member, is_peer
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.route import Route, RouteRefused
from subproxy.subscription.peer_registrar import PeerRegistrar
from subproxy.subscription.registrar import HelloRefused
from subproxy.wire import messages as m
from subproxy.wire.fields import Info
from subproxy.wire.info import peer, wakes_machine
from subproxy.wire.limits import MAX_PROCESSES

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
        # A line of epochs is a process of a host here, not an application of a guest.
        self.epochs = Epochs(lines=MAX_PROCESSES)
        self._told = told
        self._known: dict[str, dict[Route, bool]] = {}
        self._here: dict[str, list[Member]] = {}
        self._waking: dict[Route, set[str]] = {}
        self._wakers: dict[Route, list[Member]] = {}
        self._own: set[Route] = set()

    # What hosts say.

    def hello(self, identity: str, info: Info) -> tuple[Member, Member | None]:
        """A host greets; what it has is asked of it as soon as it has C{joined}."""
        said = peer(info)
        if said is None or HOSTS + said.host.decode("latin-1") != identity:
            raise HelloRefused(b"hello", "hello: its peer is not the host of its certificate")
        # Each process of a host is a member of its own.
        return super().hello(identity, {**info, b"worker": said.process})

    def register(
        self, member: Member, message: m.Register, tunnels: Container[bytes] = ()
    ) -> m.Registered | m.Refused:
        """A host offers a route; or a machine would serve it, which it C{wakes}."""
        if self._told:
            return m.Refused(message.reference, b"policy", NOT_HERE.encode())
        answer = super().register(member, message, tunnels)
        route = self._routes[member].get(message.reference)
        if route is not None:
            if wakes_machine(message.info):
                self._wakers.setdefault(route, []).append(member)
            self._look(route)
        return answer

    def unregister(self, member: Member, message: m.Unregister) -> m.Unregistered | None:
        """It takes the offer back."""
        route = self._routes[member].get(message.reference)
        answer = super().unregister(member, message)
        if route is not None:
            self._leave_to_others(member, route)
        return answer

    def joined(self, member: Member) -> None:
        """It has greeted, and can be asked."""
        identity = member.identity
        self._here.setdefault(identity, []).append(member)
        for route, wakes in self._known.get(identity, {}).items():
            if not wakes:
                self._join(member, route)
            self._look(route)
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
        identity = member.identity
        there = self._here.get(identity, [])
        if member in there:
            there.remove(member)
        offered = list(self._routes.get(member, {}).values())
        super().leave(member)
        for route in offered:
            self._leave_to_others(member, route)
        if not there and self._here.pop(identity, None) is not None:
            for route in self._known.get(identity, ()):
                self._look(route)

    # What the store says.

    def offer(self, host: str, route: Route, wakes: bool = False) -> None:
        """
        C{host} serves C{route}.

        @param wakes: a machine would, which is started for who asks: so nobody asks while guests
            of any host serve it, or this host has guests or a machine for it.
        """
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
        self._known.setdefault(identity, {})[route] = wakes
        if wakes:
            self._waking.setdefault(route, set()).add(identity)
        else:
            self._wakes_no_more(identity, route)
        there = self._here.get(identity, ())
        for member in there:
            if not wakes:
                self._join(member, route)
                self.changed(member)
        if not there:
            # Until the host has dialled, requests wait as for a guest that restarts.
            self.registry.expect(identity, route, self.now(), limited=False)
        self._look(route)

    def withdraw(self, host: str, route: Route) -> None:
        """It does no more."""
        identity = HOSTS + host
        known = self._known.get(identity, {})
        known.pop(route, None)
        if not known:
            self._known.pop(identity, None)
        self._wakes_no_more(identity, route)
        for member in self._here.get(identity, ()):
            self.registry.unregister(member, route, self.now())
        self._look(route)

    def own(self, route: Route, has: bool) -> None:
        """This host has guests or a machine for C{route}, or no longer."""
        (self._own.add if has else self._own.discard)(route)
        self._look(route)

    def _wakes_no_more(self, identity: str, route: Route) -> None:
        waking = self._waking.get(route)
        if waking is not None:
            waking.discard(identity)
            if not waking:
                del self._waking[route]

    def _leave_to_others(self, member: Member, route: Route) -> None:
        """C{member} does not offer C{route} any more."""
        wakers = self._wakers.get(route, [])
        if member in wakers:
            wakers.remove(member)
            if not wakers:
                del self._wakers[route]
        self._look(route)

    def _look(self, route: Route) -> None:
        """Let those be asked for C{route}, or not, that would start a machine."""
        wakers = list(self._wakers.get(route, ()))
        serves = len(self._offers.get(route, ())) > len(wakers)
        for identity in self._waking.get(route, ()):
            wakers += self._here.get(identity, ())
        wanted = not serves and route not in self._own
        if wakers and wanted:
            wanted = not any(
                self._known.get(identity, {}).get(route) is False for identity in self._here
            )
        for member in wakers:
            if wanted:
                self._join(member, route)
                self.changed(member)
            else:
                self.registry.unregister(member, route, self.now())

    def data(self) -> dict[str, list[Member]]:
        """The hosts that can be asked, by name: a member for each of their processes."""
        return {identity.removeprefix(HOSTS): there for identity, there in self._here.items()}

    def _served_here(self, route: Route) -> bool:
        """A host is asked beside the guests of this one."""
        return False
