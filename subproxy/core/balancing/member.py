"""A subscription as the balancer sees it, and the pools of those that registered the same route.

C{Member} is numbers, and a state from a table; the balancer chooses among the members of a
C{Pool}. Both are flat on purpose: the compiled path reads and writes them.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Any, Final

from subproxy.core.balancing import latency as _latency
from subproxy.core.balancing.outcomes import Outcomes
from subproxy.core.balancing.pool_owner import PoolOwner
from subproxy.core.printable import printable
from subproxy.core.routing.route import Precedence, Route

PEERS: Final = "worker:"
"""What the identities of other processes of the proxy begin with; those of guests never do."""

HOSTS: Final = "host:"
"""The same of proxies on other hosts."""

_PASS_ON: Final = (PEERS, HOSTS)


class MemberState(IntEnum):
    """Where a member is in its life. Only a READY one gets new exchanges."""

    READY = auto()
    DRAINING = auto()
    EJECTED = auto()
    GONE = auto()
    FULL = auto()
    FAILING = auto()


class MemberEvent(IntEnum):
    """Event in the life of a member: the input of L{TRANSITIONS}."""

    DRAIN = auto()
    """It, or an operator, wants nothing new for it."""
    UNDRAIN = auto()
    """The operator takes the drain back."""
    EJECT = auto()
    """It did not answer its pings in time."""
    REVIVE = auto()
    """It answers again."""
    LEAVE = auto()
    """Its connection is gone."""
    FILL = auto()
    """It says that it takes nothing new for now."""
    CLEAR = auto()
    """It does not say so."""
    FAIL = auto()
    """It answers its pings, and fails at what it is asked."""
    RECOVER = auto()
    """It has been left alone for long enough, or is needed."""


TRANSITIONS: Final[dict[MemberState, dict[MemberEvent, MemberState]]] = {
    MemberState.READY: {
        MemberEvent.DRAIN: MemberState.DRAINING,
        MemberEvent.UNDRAIN: MemberState.READY,
        MemberEvent.EJECT: MemberState.EJECTED,
        MemberEvent.REVIVE: MemberState.READY,
        MemberEvent.LEAVE: MemberState.GONE,
        MemberEvent.FILL: MemberState.FULL,
        MemberEvent.CLEAR: MemberState.READY,
        MemberEvent.FAIL: MemberState.FAILING,
        MemberEvent.RECOVER: MemberState.READY,
    },
    MemberState.FULL: {
        MemberEvent.DRAIN: MemberState.DRAINING,
        MemberEvent.UNDRAIN: MemberState.FULL,
        MemberEvent.EJECT: MemberState.EJECTED,
        MemberEvent.REVIVE: MemberState.FULL,
        MemberEvent.LEAVE: MemberState.GONE,
        MemberEvent.FILL: MemberState.FULL,
        MemberEvent.CLEAR: MemberState.READY,
        MemberEvent.FAIL: MemberState.FAILING,
        MemberEvent.RECOVER: MemberState.FULL,
    },
    MemberState.DRAINING: {
        MemberEvent.DRAIN: MemberState.DRAINING,
        MemberEvent.UNDRAIN: MemberState.READY,
        # It gets nothing new as it is, and must not come back as READY by a late pong.
        MemberEvent.EJECT: MemberState.DRAINING,
        MemberEvent.REVIVE: MemberState.DRAINING,
        MemberEvent.LEAVE: MemberState.GONE,
        MemberEvent.FILL: MemberState.DRAINING,
        MemberEvent.CLEAR: MemberState.DRAINING,
        MemberEvent.FAIL: MemberState.DRAINING,
        MemberEvent.RECOVER: MemberState.DRAINING,
    },
    MemberState.EJECTED: {
        MemberEvent.DRAIN: MemberState.DRAINING,
        MemberEvent.UNDRAIN: MemberState.EJECTED,
        MemberEvent.EJECT: MemberState.EJECTED,
        MemberEvent.REVIVE: MemberState.READY,
        MemberEvent.LEAVE: MemberState.GONE,
        MemberEvent.FILL: MemberState.EJECTED,
        MemberEvent.CLEAR: MemberState.EJECTED,
        MemberEvent.FAIL: MemberState.EJECTED,
        MemberEvent.RECOVER: MemberState.EJECTED,
    },
    MemberState.FAILING: {
        MemberEvent.DRAIN: MemberState.DRAINING,
        MemberEvent.UNDRAIN: MemberState.READY,
        MemberEvent.EJECT: MemberState.EJECTED,
        MemberEvent.REVIVE: MemberState.FAILING,
        MemberEvent.LEAVE: MemberState.GONE,
        MemberEvent.FILL: MemberState.FAILING,
        MemberEvent.CLEAR: MemberState.FAILING,
        MemberEvent.FAIL: MemberState.FAILING,
        MemberEvent.RECOVER: MemberState.READY,
    },
    MemberState.GONE: dict.fromkeys(MemberEvent, MemberState.GONE),
}
"""The whole life of a member; GONE is final."""

READY: Final = int(MemberState.READY)
GONE: Final = int(MemberState.GONE)
THERE: Final = frozenset({READY, int(MemberState.FULL)})
"""States of who is there, if perhaps busy."""

MIN_WEIGHT: Final = 0.01
MAX_WEIGHT: Final = 10.0

LINGER: Final = 10.0
"""Seconds a vacant pool is remembered."""

POPULATED: Final = -1.0
"""C{Pool.vacant_since} of a pool that has members."""


class Member:
    """One subscription that registered routes.

    identity: which VM speaks, from the transport. application, instance, worker: what it says
    of itself in C{hello}. weight: the share that counts, clamped to MIN_WEIGHT and MAX_WEIGHT:
    what an operator has given it (assigned), or else what it declared, 1.0 unless it says
    otherwise, and less of that while it is suspected to fail. outcomes: how it has answered,
    while it is watched (C{subproxy.core.balancing.outliers}); None while all is well.
    concurrency: how many exchanges it takes at once, 0 for no limit of its own. latency:
    average round trip in seconds, and latency_at the time of the last sample. in_flight:
    exchanges it has now. state: a C{MemberState}, as int. since: when it last became READY,
    which is when its slow start began. pools: where it is registered. channel: whatever the
    shell needs to reach it; never looked at here. tls: what it is told of the TLS of clients,
    by pool (names of the protocol); no pool that it is told nothing of.
    """

    __slots__ = (
        "application",
        "assigned",
        "channel",
        "concurrency",
        "declared",
        "identity",
        "in_flight",
        "instance",
        "latency",
        "latency_at",
        "outcomes",
        "pools",
        "share",
        "since",
        "state",
        "tls",
        "weight",
        "worker",
    )

    def __init__(
        self,
        identity: str,
        application: bytes,
        instance: bytes,
        *,
        now: float,
        worker: int = 0,
        weight: float = 1.0,
        concurrency: int = 0,
        channel: Any = None,
    ) -> None:
        if concurrency < 0:
            raise ValueError("concurrency cannot be negative")
        self.identity = identity
        self.application = application
        self.instance = instance
        self.worker = worker
        # In this order, so that what is not a number becomes MIN_WEIGHT.
        self.declared = max(MIN_WEIGHT, min(weight, MAX_WEIGHT))
        self.assigned: float | None = None
        self.share = 1.0
        self.weight = self.declared
        self.outcomes: Outcomes | None = None
        self.concurrency = concurrency
        self.channel = channel
        self.in_flight = 0
        self.latency = _latency.INITIAL
        self.latency_at = _latency.UNKNOWN
        self.state = READY
        self.since = now
        self.pools: list[Pool] = []
        self.tls: dict[Pool, frozenset[bytes]] = {}

    def feed(self, event: MemberEvent, now: float) -> bool:
        """Move to the next state; return whether it is another one."""
        before = MemberState(self.state)
        after = TRANSITIONS[before][event]
        if after is before:
            return False
        self.state = int(after)
        if after is MemberState.READY and before is not MemberState.FULL:
            self.since = now
            # It was away: what was measured before says nothing of it now.
            self.latency_at = _latency.UNKNOWN
        return True

    def assign(self, weight: float | None) -> None:
        """An operator gives it C{weight}; None: what it asks for."""
        self.assigned = weight
        self.reweigh(self.share)

    def reweigh(self, share: float) -> None:
        """Let it have C{share} of its weight."""
        self.share = share
        weight = self.declared if self.assigned is None else self.assigned
        self.weight = max(MIN_WEIGHT, min(weight * share, MAX_WEIGHT))

    def observe(self, round_trip: float, now: float) -> None:
        """Count one ping that took C{round_trip} seconds."""
        self.latency = _latency.ewma(self.latency, self.latency_at, round_trip, now)
        self.latency_at = now

    def __repr__(self) -> str:
        return (
            f"<Member {self.identity} {printable(self.application)} "
            f"{MemberState(self.state).name.lower()} in flight {self.in_flight}>"
        )


def usable(member: Member) -> bool:
    """Tell whether C{member} can be given an exchange now."""
    return member.state == READY and (
        member.concurrency == 0 or member.in_flight < member.concurrency
    )


def member_name(member: Member) -> str:
    """What an operator calls C{member}: identity, application and worker, printable."""
    application = printable(member.application, unambiguous=True)
    return f"{printable(member.identity)}/{application}/{member.worker}"


def is_peer(member: Member) -> bool:
    """Whether C{member} is another process of the proxy, or another host's: it has the guests."""
    return member.identity.startswith(_PASS_ON)


def is_worker(member: Member) -> bool:
    """Whether C{member} is another process of this proxy, which speaks of its guests itself."""
    return member.identity.startswith(PEERS)


def is_host(member: Member) -> bool:
    """Whether C{member} is another host."""
    return member.identity.startswith(HOSTS)


class Pool:
    """A route and its members; flat, because the compiled path reads it.

    precedence: its sort key in the table. members: in the order of their registration.
    vacant_since: when the last one left, or POPULATED. waiting: exchanges that wait for a member.
    cursor: where round robin stands. tells_tls: a member is, or was, told of the TLS of clients.
    retries: whatever budget the shell keeps for it; never looked at here. owner: who is woken when
    it is asked for and has nobody. Who remembers something of a pool keeps it by a weak reference:
    a pool holds compiled patterns.
    """

    __slots__ = (
        "__weakref__",
        "cursor",
        "members",
        "owner",
        "precedence",
        "retries",
        "route",
        "tells_tls",
        "vacant_since",
        "waiting",
    )

    def __init__(self, route: Route, *, now: float) -> None:
        self.route = route
        self.precedence: Precedence = route.precedence()
        self.members: list[Member] = []
        self.vacant_since = now
        self.waiting = 0
        self.cursor = 0
        self.retries: Any = None
        self.tells_tls = False
        self.owner: PoolOwner | None = None

    def has_ready(self) -> bool:
        """Tell whether any member is READY or FULL: it is there, if perhaps busy."""
        return any(member.state in THERE for member in self.members)

    def __repr__(self) -> str:
        return f"<Pool {self.route} members {len(self.members)} waiting {self.waiting}>"
