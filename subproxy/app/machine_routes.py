"""
The routes of declared machines in one worker: requests for them wait here, and the parent is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from twisted.logger import Logger

from subproxy.core.access.claim_index import ClaimIndex
from subproxy.core.access.claims import Claim
from subproxy.core.access.log_limit import LogLimit, not_logged
from subproxy.core.balancing.member import Member, MemberEvent, Pool
from subproxy.core.balancing.pool_owner import UNTIL_UP, PoolOwner
from subproxy.core.dispatcher import Dispatcher
from subproxy.core.http.normalise import normalise_host
from subproxy.core.routing.route import Route
from subproxy.errors import MachineDown, NoRoute, ProxyError
from subproxy.machines.declaration import Machine
from subproxy.machines.declared_routes import claims_of, routes_of
from subproxy.machines.places import identity_of, instance_of_identity, path_fault
from subproxy.machines.template import MachineTemplate, is_template
from subproxy.subscription.guest_observer import GuestObserver
from subproxy.wire.limits import PORT
from subproxy.workers import messages as msg

MOST_MADE: Final = 1000
"""Machines of templates that one worker has routes of, at most."""

FORGET: Final = 60.0
"""Seconds without use after which it lets go of one."""

Count = Callable[[str], int]


@dataclass(eq=False)
class _Declared:
    """
    One machine.

    @ivar routes: what is declared of it.
    @ivar pools: those of these.
    @ivar members: those of its instances, and which of them each is of.
    @ivar answered: those of which the parent was told that they have answered.
    @ivar told: what the parent was told last.
    """

    machine: Machine
    owner: PoolOwner
    claims: list[Claim]
    routes: list[Route]
    pools: list[Pool] = field(default_factory=list)
    members: dict[Member, int] = field(default_factory=dict)
    answered: set[Member] = field(default_factory=set)
    told: msg.MachineUsed | None = None
    rerouted: int = -1


class MachineRoutes(GuestObserver):
    """
    See above.

    @param folder: where machines have their files, which says who is one.
    @param tunnels: how many tunnels an identity has.
    @param send: tells the parent.
    @param port: what guests dial.
    """

    _log = Logger()

    def __init__(
        self,
        dispatcher: Dispatcher,
        folder: str,
        tunnels: Count,
        send: Callable[[msg.ChannelMessage], None],
        port: int = PORT,
    ) -> None:
        self._dispatcher = dispatcher
        self._registry = dispatcher.router.registry
        self._folder = folder
        self._tunnels = tunnels
        self._send = send
        self._port = port
        self._static: list[Machine] = []
        self._templates: list[MachineTemplate] = []
        self._made: dict[str, float] = {}
        self._declared: dict[str, _Declared] = {}
        self._claims: ClaimIndex[PoolOwner] = ClaimIndex()
        self._limit = LogLimit()
        self._template_routes: dict[Route, PoolOwner] = {}
        self._strangers: dict[Member, str] = {}
        self._drained: set[str] = set()
        self._registry.owner_of = self._owner_of

    @property
    def machines(self) -> list[Machine]:
        """What is declared: templates, not what was made of them."""
        return list(self._static)

    def declare(self, machines: Sequence[Machine]) -> None:
        """These are the machines from now on; others are no more."""
        self._static = list(machines)
        self._templates = [MachineTemplate(each) for each in machines if is_template(each)]
        made = [each for each in map(self._of_name, self._made) if each is not None]
        self._made = {each.name: self._made[each.name] for each in made}
        self._declare([*machines, *made])

    def _of_name(self, name: str) -> Machine | None:
        """The machine of a template that has that name."""
        return next(filter(None, (each.of_name(name) for each in self._templates)), None)

    def _of_host(self, host: bytes) -> Machine | None:
        name = host.decode("latin-1")
        return next(filter(None, (each.of_host(name) for each in self._templates)), None)

    def _name_of(self, host: bytes) -> str | None:
        machine = self._of_host(host)
        return None if machine is None else machine.name

    def _concrete(self, host: bytes, path: bytes) -> Pool | ProxyError:
        """The pool of a host of a template: its machine is declared from now on."""
        machine = self._of_host(normalise_host(host))
        if machine is None:
            return NoRoute()
        fault = path_fault(self._folder, machine.name, machine.most, self._port)
        if fault is None and len(self._made) >= MOST_MADE:
            fault = f"there are {MOST_MADE} machines of templates already"
        if fault is not None:
            self._tell(machine.name, fault)
            error = MachineDown()
            error.retry_after = 1
            return error
        self._make(machine)
        pool = self._dispatcher.router.match(host, path).pool
        return NoRoute() if pool is None or pool.owner is None or pool.owner.concrete else pool

    def _tell(self, name: str, fault: str) -> None:
        held = self._limit.admit(self._dispatcher.now())
        if held is not None:
            self._log.warn(
                "machine {name}: {fault}{more}", name=name, fault=fault, more=not_logged(held)
            )

    def _make(self, machine: Machine) -> _Declared:
        found = self._declared.get(machine.name)
        if found is not None:
            return found
        # One more of a template changes nothing for the others: anybody can have it made.
        now = self._made[machine.name] = self._dispatcher.now()
        declared = self._enter(machine, None)
        for claim in declared.claims:
            self._claims.add(claim, declared.owner)
        covered = [
            pool
            for pool in self._registry.pools()
            if any(claim.covers_route(pool.route) for claim in declared.claims)
        ]
        self._own(covered)
        declared.pools = [self._registry.declare(route, now) for route in declared.routes]
        for member in [each for each, name in self._strangers.items() if name == machine.name]:
            self.subscribed(member)
        return declared

    def _enter(self, machine: Machine, known: _Declared | None) -> _Declared:
        """It is declared from now on; its pools are not, yet."""
        owner = PoolOwner(machine.name, 0.0) if known is None else known.owner
        owner.wanted = self._wanted
        owner.answered = self._answered
        owner.patience = machine.start_timeout
        template = is_template(machine)
        owner.concrete = self._concrete if template else None
        owner.named = self._name_of if template else None
        if known is not None and known.machine == machine:
            claims, routes = known.claims, known.routes
        else:
            claims = claims_of(machine)
            routes = routes_of(claims, one_label=template)
        declared = _Declared(machine, owner, claims, routes)
        if known is not None:
            declared.pools, declared.members = known.pools, known.members
            declared.answered = known.answered
        self._declared[machine.name] = declared
        return declared

    def _known(self, name: str) -> _Declared | None:
        """What is declared of a machine, or of the template that it is of."""
        machine = self._of_name(name) if name not in self._declared else None
        return self._declared.get(name) if machine is None else self._make(machine)

    def _forget(self, now: float) -> None:
        """Let go of machines of templates that nobody has used for long."""
        for name in self._made:
            declared = self._declared[name]
            owner = declared.owner
            if owner.waiting or declared.members or owner.up_since != UNTIL_UP:
                self._made[name] = now
        gone = {name for name, used in self._made.items() if now >= used + FORGET}
        if gone:
            self._made = {name: used for name, used in self._made.items() if name not in gone}
            kept = [each.machine for name, each in self._declared.items() if name not in gone]
            self._declare(kept)

    def _declare(self, machines: Sequence[Machine]) -> None:
        now = self._dispatcher.now()
        before, self._declared = self._declared, {}
        for machine in machines:
            self._enter(machine, before.pop(machine.name, None))
        self._claims = ClaimIndex()
        for each in self._declared.values():
            for claim in each.claims:
                self._claims.add(claim, each.owner)
        self._template_routes = {
            route: each.owner
            for each in self._declared.values()
            if each.owner.concrete is not None
            for route in each.routes
        }
        wanted = {route for each in self._declared.values() for route in each.routes}
        for each in [*before.values(), *self._declared.values()]:
            for pool in each.pools:
                if pool.route not in wanted:
                    self._dispatcher.refuse_waiting(pool, NoRoute())
                    self._registry.undeclare(pool, now)
        self._own(self._registry.pools())
        for each in self._declared.values():
            each.pools = [self._registry.declare(route, now) for route in each.routes]
        for member in list(self._strangers):
            self.subscribed(member)

    def _own(self, pools: Iterable[Pool]) -> None:
        """Whoever waits is counted for the owner of its pool: it waits anew where that changes."""
        moved = [pool for pool in pools if pool.owner is not self._owner_of(pool.route)]
        for pool in moved:
            self._dispatcher.own(pool, self._owner_of(pool.route))

    def _owner_of(self, route: Route) -> PoolOwner | None:
        # No claim covers what a template's route has: all hosts of one label.
        template = self._template_routes.get(route)
        if template is not None:
            return template
        return self._claims.of(route)

    # What the parent says.

    def status(self, said: msg.MachineStatus) -> None:
        """How a machine is."""
        declared = self._known(said.name)
        if declared is None:
            return
        owner, now = declared.owner, self._dispatcher.now()
        if not said.up:
            owner.up_since = UNTIL_UP
        elif owner.up_since == UNTIL_UP:
            owner.up_since = now
            self._reroute(declared)
        owner.refused_until = now + said.refused if said.refused else 0.0
        if said.refused:
            for pool in self._pools_of(owner):
                if pool.waiting and not pool.has_ready():
                    error = MachineDown()
                    error.retry_after = owner.refusal(now)
                    self._dispatcher.refuse_waiting(pool, error)

    def drain(self, identity: str, event: MemberEvent) -> None:
        """Give an instance nothing new, or use it again; then tell the parent what it does."""
        found = instance_of_identity(self._folder, identity)
        if found is None:
            return
        # Also who dials again, and comes here first: what it was given would end with its machine.
        if event is MemberEvent.DRAIN:
            self._drained.add(identity)
        else:
            self._drained.discard(identity)
        declared = self._declared.get(found[0])
        if declared is None:
            return
        now = self._dispatcher.now()
        for member, index in declared.members.items():
            if index == found[1] and member.feed(event, now) and event is MemberEvent.UNDRAIN:
                self._dispatcher.capacity(member)
        self._report(declared, now)

    def begins(self, identity: str) -> None:
        """It is started, or is over: whoever dials from there is another one, and is used."""
        self._drained.discard(identity)

    # What guests do.

    def subscribed(self, member: Member) -> None:
        """C{member} has greeted."""
        found = instance_of_identity(self._folder, member.identity)
        if found is None:
            return
        if member.identity in self._drained:
            member.feed(MemberEvent.DRAIN, self._dispatcher.now())
        declared = self._known(found[0])
        if declared is None:
            self._strangers[member] = found[0]
        else:
            self._strangers.pop(member, None)
            declared.members[member] = found[1]

    def left(self, member: Member) -> None:
        """C{member} is gone."""
        self._strangers.pop(member, None)
        for declared in self._declared.values():
            declared.members.pop(member, None)
            declared.answered.discard(member)

    # What the parent is told.

    def look(self) -> None:
        """Tell the parent what has changed; nobody waits for what will not come."""
        now = self._dispatcher.now()
        self._forget(now)
        for declared in self._declared.values():
            owner = declared.owner
            if owner.concrete is not None:
                continue
            if owner.waiting and owner.up_since != UNTIL_UP:
                self._reroute(declared)
            self._report(declared, now)

    def tell_again(self) -> None:
        """The parent runs its next program, which knows of nothing that was told before."""
        for declared in self._declared.values():
            if declared.told is not None:
                declared.told = None
                self._report(declared, self._dispatcher.now())

    def _wanted(self, owner: PoolOwner) -> None:
        declared = self._declared.get(owner.name)
        if declared is not None and declared.owner is owner:
            self._report(declared, self._dispatcher.now())

    def _answered(self, owner: PoolOwner, member: Member) -> None:
        """A request that has waited is being answered: the first one of an instance is told of."""
        declared = self._declared.get(owner.name)
        if declared is None or member in declared.answered:
            return
        # Where another worker has it nobody here knows which instance it is.
        index = declared.members.get(member, msg.SOME_INSTANCE)
        if index != msg.SOME_INSTANCE:
            declared.answered.add(member)
        self._send(msg.MachineAnswered(owner.name, index, self._dispatcher.now()))

    def _report(self, declared: _Declared, now: float) -> None:
        since = [
            waits
            for waits in map(self._dispatcher.admission.oldest, self._pools_of(declared.owner))
            if waits is not None
        ]
        instances: dict[str, list[int]] = {}
        for member, index in declared.members.items():
            use = instances.setdefault(str(index), [0, 0, 0])
            use[0] += member.in_flight
            use[1] += member.channel.next_number() - 1 if member.channel is not None else 0
            use[2] += member.concurrency
        for number, use in instances.items():
            use[0] += self._tunnels(identity_of(self._folder, declared.machine.name, int(number)))
        # When the first of them came does not change while it waits.
        said = msg.MachineUsed(
            declared.machine.name, declared.owner.waiting, min(since, default=0.0), instances
        )
        if said != declared.told:
            declared.told = said
            self._send(said)

    def _pools_of(self, owner: PoolOwner) -> list[Pool]:
        if not owner.waiting:
            return []
        return [pool for pool in self._registry.pools() if pool.owner is owner]

    def _reroute(self, declared: _Declared) -> None:
        """Let who waits go where the machine has registered by now, or nowhere."""
        for pool in declared.pools:
            if pool.waiting and not pool.members:
                self._dispatcher.reroute(pool)
