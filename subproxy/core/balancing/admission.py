"""Send now, wait, or refuse: the queue of each pool, with a deadline.

Exchanges wait when every ready member has as many as it granted, and when a pool has no ready
member for a moment (a restart, a roll-out). A queue is bounded, first come first served, and
one for each pool, so that a stalled application holds up nobody else.

Decisions are values; who called acts on them. A decision to send has already counted the
exchange in the member's C{in_flight}: give it back with C{release}, and then ask C{relieve} who is
next. When a member appears in a pool, returns, or is granted more, ask C{admit}.

Compiled a second time: L{subproxy.fastpath._waiting_queue} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, Final

from subproxy.core.balancing.balancer import Balancer, Random
from subproxy.core.balancing.member import LINGER, POPULATED, READY, Member, Pool, usable
from subproxy.core.balancing.pool_owner import PoolOwner
from subproxy.wire.values import value_class

NO_SUBSCRIBER: Final = "no-subscriber"
QUEUE_FULL: Final = "queue-full"
QUEUE_TIMEOUT: Final = "queue-timeout"
MACHINE_DOWN: Final = "machine-down"
MACHINE_STARTING: Final = "machine-starting"
NO_ROUTE: Final = "no-route"


@value_class
class AdmissionLimits:
    """Limits of the queues: how many exchanges may wait, and for how long.

    pool and total are exchanges. busy and vacant are seconds: how long an exchange waits when
    all ready members are full, and when there is no ready member; 0 means not at all.
    linger is how long after its last member has left a pool is worth waiting for: who comes
    later is refused at once, or else a route that is asked for all the time would never be
    forgotten. retry_after is what a refused client is told, seconds.
    """

    pool: int = 100
    total: int = 1000
    busy: float = 10.0
    vacant: float = 10.0
    linger: float = LINGER
    retry_after: int = 1


USUAL_LIMITS: Final = AdmissionLimits()


@value_class
class RequestTerms:
    """What one exchange has of its own.

    member is whom it belongs to: it goes there or waits for it, and elsewhere only where it can't
    wait. busy and vacant are seconds, instead of those of the limits; None for those. wake: it may
    start a machine, and wait for it. told_after: seconds that it waits for that, and is told then
    that the machine starts; None: it waits for as long as that may take.
    """

    member: Member | None = None
    busy: float | None = None
    vacant: float | None = None
    wake: bool = True
    told_after: float | None = None


USUAL: Final = RequestTerms()


class Ticket:
    """An exchange that waits: C{exchange} is whatever was submitted. Compared by identity.

    wakes: it waits for a machine to come up, and not for a subscriber to have room. told_soon: at
    its deadline it is told that the machine starts, and not that it is down.
    """

    __slots__ = (
        "arrived",
        "deadline",
        "exchange",
        "excluded",
        "pool",
        "told_soon",
        "waiting",
        "wakes",
    )

    def __init__(
        self,
        exchange: Any,
        pool: Pool,
        excluded: Collection[Member],
        arrived: float,
        deadline: float,
        wakes: bool = False,
    ) -> None:
        self.wakes = wakes
        self.told_soon = False
        self.exchange = exchange
        self.pool = pool
        self.excluded = excluded
        self.arrived = arrived
        self.deadline = deadline
        self.waiting = True


@value_class
class Send:
    """Send it to C{member}, which has been charged with it."""

    member: Member


@value_class
class Wait:
    """It waits until C{ticket.deadline}; keep the ticket, for C{leave}."""

    ticket: Ticket


@value_class
class Refuse:
    """It is refused: C{code} is that of the error in L{subproxy.errors}."""

    code: str
    retry_after: int


@value_class
class Admitted:
    """What waited goes to C{member}, which has been charged with it."""

    ticket: Ticket
    member: Member


@value_class
class Expired:
    """The decision about an exchange that has waited too long: refuse it."""

    ticket: Ticket
    refusal: Refuse


class PoolQueue:
    """Who waits for one pool.

    tickets: first come first. plain: how many of them exclude nobody: while there are some, a
    newcomer may not overtake.
    """

    __slots__ = ("plain", "tickets")

    def __init__(self) -> None:
        self.tickets: OrderedDict[Ticket, None] = OrderedDict()
        self.plain = 0


class Admission:
    """The queues of all pools. C{waiting} is how many exchanges are in them.

    balancer and rng are who chooses, and by which chance.
    """

    __slots__ = ("_deadlines", "_limits", "_queues", "_serial", "balancer", "rng", "waiting")

    def __init__(
        self, balancer: Balancer, rng: Random, limits: AdmissionLimits = USUAL_LIMITS
    ) -> None:
        self.balancer = balancer
        self.rng = rng
        self._limits = limits
        self._queues: dict[Pool, PoolQueue] = {}
        self._deadlines: list[tuple[float, int, Ticket]] = []
        """A heap; what waits no longer is dropped when it comes up, or when it is the most."""
        self._serial = 0
        self.waiting = 0

    def set_limits(self, limits: AdmissionLimits) -> None:
        """Decide by C{limits} from now on; what waits already keeps its deadline."""
        self._limits = limits

    def submit(
        self,
        exchange: Any,
        pool: Pool,
        now: float,
        excluded: Sequence[Member] = (),
        terms: RequestTerms = USUAL,
    ) -> Send | Wait | Refuse:
        """Decide on a new exchange, or on one that is tried again without C{excluded}."""
        if terms is not USUAL:
            return self._submit_by(terms, exchange, pool, now, excluded)
        limits = self._limits
        return self._submit(exchange, pool, now, excluded, limits.busy, limits.vacant)

    def _submit_by(
        self,
        terms: RequestTerms,
        exchange: Any,
        pool: Pool,
        now: float,
        excluded: Sequence[Member],
    ) -> Send | Wait | Refuse:
        limits = self._limits
        busy = limits.busy if terms.busy is None else terms.busy
        vacant = limits.vacant if terms.vacant is None else terms.vacant
        member = terms.member
        if member is not None and usable(member):
            member.in_flight += 1
            return Send(member)
        if member is not None and member.state == READY and self._has_room(pool) and busy > 0.0:
            others = frozenset(pool.members) - {member}
            return self._enqueue(exchange, pool, others, now, busy)
        return self._submit(exchange, pool, now, excluded, busy, vacant, terms)

    def _submit(
        self,
        exchange: Any,
        pool: Pool,
        now: float,
        excluded: Sequence[Member],
        busy: float,
        vacant: float,
        terms: RequestTerms = USUAL,
    ) -> Send | Wait | Refuse:
        if not pool.waiting or not self._queues[pool].plain:
            member = self.balancer.choose(pool, now, self.rng, excluded)
            if member is not None:
                member.in_flight += 1
                return Send(member)
        limits = self._limits
        ready = pool.has_ready()
        if pool.owner is not None and not ready:
            return self._await(pool.owner, exchange, pool, now, excluded, terms)
        patience = busy if ready else vacant
        if pool.vacant_since != POPULATED and now - pool.vacant_since >= limits.linger:
            patience = 0.0
        if patience <= 0.0:
            return Refuse(QUEUE_FULL if ready else NO_SUBSCRIBER, limits.retry_after)
        if not self._has_room(pool):
            return Refuse(QUEUE_FULL, limits.retry_after)
        return self._enqueue(exchange, pool, tuple(excluded), now, patience)

    def _await(
        self,
        owner: PoolOwner,
        exchange: Any,
        pool: Pool,
        now: float,
        excluded: Sequence[Member],
        terms: RequestTerms,
    ) -> Wait | Refuse:
        """Decide on an exchange for whose pool a machine has to come up."""
        limits = self._limits
        seconds = owner.refusal(now)
        if seconds:
            return Refuse(MACHINE_DOWN, seconds)
        if self.gives_up(pool, now):
            return Refuse(NO_ROUTE, 0)
        if not terms.wake and not owner.waiting:
            return Refuse(MACHINE_DOWN, limits.retry_after)
        if not self._has_room(pool):
            return Refuse(QUEUE_FULL, limits.retry_after)
        patience, told_after = owner.patience, terms.told_after
        if told_after is None or told_after >= patience:
            return self._enqueue(exchange, pool, tuple(excluded), now, patience, True)
        wait = self._enqueue(exchange, pool, tuple(excluded), now, told_after, True)
        wait.ticket.told_soon = True
        return wait

    def _has_room(self, pool: Pool) -> bool:
        if pool.owner is not None and pool.owner.waiting >= self._limits.pool:
            return False
        return pool.waiting < self._limits.pool and self.waiting < self._limits.total

    def _enqueue(
        self,
        exchange: Any,
        pool: Pool,
        excluded: Collection[Member],
        now: float,
        patience: float,
        wakes: bool = False,
    ) -> Wait:
        ticket = Ticket(exchange, pool, excluded, now, now + patience, wakes)
        queue = self._queues.get(pool)
        if queue is None:
            queue = self._queues[pool] = PoolQueue()
        queue.tickets[ticket] = None
        queue.plain += not ticket.excluded
        pool.waiting += 1
        self.waiting += 1
        self._serial += 1
        heappush(self._deadlines, (ticket.deadline, self._serial, ticket))
        if pool.owner is not None:
            pool.owner.wait()
        return Wait(ticket)

    def has_room(self) -> bool:
        """Tell whether one more may wait, of whatever pool."""
        return self.waiting < self._limits.total

    def accepts(self, pool: Pool, now: float, excluded: Sequence[Member] = ()) -> bool:
        """Tell whether C{submit} would send it or let it wait now, and not refuse it."""
        limits = self._limits
        patience = limits.busy if pool.has_ready() else limits.vacant
        if patience > 0.0 and self._has_room(pool):
            return True
        if pool.waiting and self._queues[pool].plain:
            return False
        return self.balancer.choose(pool, now, self.rng, excluded) is not None

    def release(self, member: Member) -> None:
        """An exchange of C{member} is done, well or badly."""
        if member.in_flight <= 0:
            raise ValueError("a member was given back an exchange that it didn't have")
        member.in_flight -= 1

    def admit(self, pool: Pool, now: float) -> list[Admitted]:
        """Return those of C{pool} that need wait no longer, first come first served."""
        admitted = []
        while pool.waiting:
            one = self._admit_one(pool, now)
            if one is None:
                break
            admitted.append(one)
        return admitted

    def relieve(self, member: Member, now: float) -> list[Admitted]:
        """Return those that need wait no longer now that C{member} has room.

        Among its pools, who has waited longest is first.
        """
        admitted: list[Admitted] = []
        if not self.waiting:
            return admitted
        pools = [pool for pool in member.pools if pool.waiting]
        while pools:
            pool = min(pools, key=self._oldest)
            one = self._admit_one(pool, now)
            if one is not None:
                admitted.append(one)
            if one is None or not pool.waiting:
                pools.remove(pool)
        return admitted

    def leave(self, ticket: Ticket) -> bool:
        """The client of C{ticket} is gone; tell whether it was still waiting."""
        if not ticket.waiting:
            return False
        self._remove(ticket)
        return True

    def tickets(self, pool: Pool) -> list[Ticket]:
        """Return all that wait for C{pool}, first come first."""
        queue = self._queues.get(pool)
        return [] if queue is None else list(queue.tickets)

    def gives_up(self, pool: Pool, now: float) -> bool:
        """Tell whether nobody will serve C{pool}: its owner is up, and serves something else."""
        owner = pool.owner
        if owner is None or pool.members:
            return False
        return owner.serves_not(pool.vacant_since, now, self._limits.vacant)

    def oldest(self, pool: Pool) -> float | None:
        """Return since when C{pool} is waited for; None if nobody waits."""
        return self._oldest(pool) if pool.waiting else None

    def next_deadline(self) -> float | None:
        """Return when C{expired} has something to say, None if nobody waits."""
        heap = self._deadlines
        while heap and not heap[0][2].waiting:
            heappop(heap)
        return heap[0][0] if heap else None

    def expired(self, now: float) -> list[Expired]:
        """Return those whose deadline has come; they wait no longer."""
        gone = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            ticket = heappop(self._deadlines)[2]
            self._remove(ticket)
            pool = ticket.pool
            vacant = NO_SUBSCRIBER if pool.owner is None else MACHINE_DOWN
            code = QUEUE_TIMEOUT if pool.has_ready() else vacant
            refusal = Refuse(code, self._limits.retry_after)
            if ticket.told_soon:
                refusal = Refuse(MACHINE_STARTING, 0)
            gone.append(Expired(ticket, refusal))
        return gone

    def _oldest(self, pool: Pool) -> float:
        return next(iter(self._queues[pool].tickets)).arrived

    def _admit_one(self, pool: Pool, now: float) -> Admitted | None:
        for ticket in self._queues[pool].tickets:
            member = self.balancer.choose(pool, now, self.rng, ticket.excluded)
            if member is not None:
                member.in_flight += 1
                self._remove(ticket)
                return Admitted(ticket, member)
            if not ticket.excluded:
                break
        return None

    def _remove(self, ticket: Ticket) -> None:
        pool = ticket.pool
        queue = self._queues[pool]
        del queue.tickets[ticket]
        queue.plain -= not ticket.excluded
        if not queue.tickets:
            del self._queues[pool]
        pool.waiting -= 1
        if pool.owner is not None:
            pool.owner.waiting -= 1
        self.waiting -= 1
        ticket.waiting = False
        if len(self._deadlines) > 2 * self.waiting + 64:
            self.prune()

    def prune(self) -> None:
        """Forget the deadlines of those that wait no longer."""
        self._deadlines = [entry for entry in self._deadlines if entry[2].waiting]
        heapify(self._deadlines)
