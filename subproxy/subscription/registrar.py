"""
What a guest may register, and what becomes of it: C{hello}, C{register}, C{unregister}, C{drain}.

The shell round the core's L{Registry}, epochs and policy: it reads the clock for them, and
turns their decisions into messages.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from typing import Final

from twisted.logger import Logger

from subproxy.core.access.epochs import Epochs, RefuseHello
from subproxy.core.access.penalties import PenaltyBox
from subproxy.core.access.policy import NO_CLAIMS, Policy, Quotas
from subproxy.core.access.token_bucket import TokenBucket
from subproxy.core.balancing.assigned import Assigned
from subproxy.core.balancing.member import Member, MemberEvent, Pool
from subproxy.core.http.upgrade import TLS
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.route import ANY_PATH, Route, RouteRefused
from subproxy.subscription.guest_observer import GuestObserver
from subproxy.subscription.log_limiter import INFO, IdentityLogLimiter
from subproxy.wire import messages as m
from subproxy.wire.errors import MessageError
from subproxy.wire.fields import Info, integer, name
from subproxy.wire.info import passthrough, tls_names
from subproxy.wire.limits import DEFAULT_WEIGHT, MAX_NUMBER, MAX_WEIGHT

BURST = 1000
"""Registrations that a guest may make at once, at its start."""

TLS_NAMES: Final = (b"sni", b"alpn", b"cert")
"""What guests may be told of the TLS of clients, where clients come over TLS."""

_weight = integer(1, MAX_WEIGHT)
_count = integer(0, MAX_NUMBER)


class HelloRefused(Exception):
    """
    No to a C{hello}.

    @ivar code: what C{refused} says to a program.
    """

    def __init__(self, code: bytes, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Registrar:
    """
    Keeps the table of who serves what, on behalf of all subscriptions.

    @ivar registry: the table.
    @ivar epochs: which instance of an application counts.
    @ivar policy: who may claim what.
    @ivar conduct: who has to wait because of what it did.
    @ivar now: monotonic seconds.
    @ivar log_limiter: what is logged for whom.
    @ivar changed: told of a member that takes more than before.
    @ivar tells_tls: what guests are told of the TLS of clients, if they ask for it.
    @ivar passes_tls: clients come over TLS, which may be passed through.
    @ivar observer: hears who comes and goes.
    @ivar assigned: what an operator has said of subscribers, by name.
    @ivar shares: among how many processes the quotas of an identity are divided, where that is more
        than this one.
    """

    _log = Logger()

    def __init__(
        self,
        registry: Registry,
        now: Callable[[], float],
        changed: Callable[[Member], None],
        policy: Policy | None = None,
    ) -> None:
        self.registry = registry
        self.epochs = Epochs()
        self.penalties = PenaltyBox()
        self.policy = policy or Policy()
        self.now = now
        self.log_limiter = IdentityLogLimiter(now)
        self.changed = changed
        self.tells_tls: tuple[bytes, ...] = ()
        self.passes_tls = False
        self.observer = GuestObserver()
        self.assigned = Assigned()
        self.shares: dict[str, int] = {}
        self._routes: dict[Member, dict[int, Route]] = {}
        self._granted: dict[Member, int] = {}
        self._buckets: dict[str, TokenBucket] = {}

    def quotas(self, identity: str) -> Quotas:
        """How much C{identity} may use."""
        quotas = self.policy.quotas(identity)
        if not self.shares:
            return quotas
        share = self.shares.get(identity, 1)
        return quotas if share == 1 else _divided(quotas, share)

    def divide(self, identity: str, share: int) -> None:
        """The quotas of C{identity} are divided among so many processes from now on."""
        if share > 1:
            self.shares[identity] = share
        else:
            self.shares.pop(identity, None)
        for member, granted in self._granted.items():
            if member.identity == identity:
                before = member.concurrency
                self._grant(member, granted)
                if member.concurrency > before:
                    self.changed(member)

    def hello(self, identity: str, info: Info) -> tuple[Member, Member | None]:
        """
        A guest greets: make it a member.

        @return: it, and whom it replaces.
        @raise HelloRefused: what it says is incomplete or wrong, or a newer instance is there.
        """
        try:
            application = name(info.get(b"application"))
            instance = name(info.get(b"instance"))
            worker = m.lookup(info, b"worker", _count, 0)
            concurrency = m.lookup(info, b"concurrency", _count, 0)
            weight = m.lookup(info, b"weight", _weight, DEFAULT_WEIGHT)
        except MessageError as error:
            raise HelloRefused(b"hello", f"hello: {error}") from None
        member = Member(
            identity,
            application,
            instance,
            now=self.now(),
            worker=worker,
            weight=weight / DEFAULT_WEIGHT,
            concurrency=concurrency,
        )
        member.assign(self.assigned.weights.of(member))
        if self.assigned.drains(member):
            member.feed(MemberEvent.DRAIN, self.now())
        decision = self.epochs.hello(member)
        if isinstance(decision, RefuseHello):
            raise HelloRefused(decision.code.encode(), decision.reason)
        self._routes[member] = {}
        self._grant(member, concurrency)
        self.observer.subscribed(member)
        return member, decision.replaced

    def register(
        self, member: Member, message: m.Register, tunnels: Container[bytes] = ()
    ) -> m.Registered | m.Refused:
        """
        A guest claims a route: the answer to it.

        @param tunnels: the protocols for which it may have tunnels.
        """
        routes = self._routes[member]
        reference = message.reference
        if reference in routes:
            return m.Refused(reference, b"reference", b"that reference is in use")
        now = self.now()
        try:
            self._check_rate(member, now)
            if not self.policy.knows(member.identity):
                raise RouteRefused("policy", NO_CLAIMS)
            route = Route(
                message.host, message.path, lazy=True, passthrough=passthrough(message.info)
            )
            self._check_policy(member, route)
            if route.passthrough:
                self._check_passthrough(route, tunnels)
            quota = self.quotas(member.identity).routes
            self.registry.check(member, route, quota)
            # Only who may have the route makes RE2 work for it.
            if route.compile():
                self._check_policy(member, route)
            pool = self.registry.register(member, route, now, quota)
        except RouteRefused as refusal:
            self.log_limiter.emit(
                self._log,
                INFO,
                member.identity,
                "{identity} may not serve {host} {path}: {reason}",
                host=message.host,
                path=message.path,
                reason=refusal.reason,
            )
            reason = refusal.reason.encode("utf-8", "replace")[:1024]
            return m.Refused(reference, refusal.code.encode(), reason)
        routes[reference] = route
        self.observer.served(member, route, True)
        self.log_limiter.emit(
            self._log,
            INFO,
            member.identity,
            "{identity} serves {route}",
            route=str(route),
        )
        if route.passthrough:
            return m.Registered(reference, {b"passthrough": True})
        granted = self._tell_tls(member, pool, tls_names(message.info))
        return m.Registered(reference, {b"tls": granted} if granted else {})

    def _tell_tls(self, member: Member, pool: Pool, asked: list[bytes]) -> list[bytes]:
        """Let C{member} be told what it asks for of the TLS of those who ask C{pool}."""
        granted = [name for name in self.tells_tls if name in asked]
        if granted:
            # Two registrations of one route are one route.
            member.tls[pool] = member.tls.get(pool, frozenset()) | frozenset(granted)
            if not pool.tells_tls:
                pool.tells_tls = True
                self.registry.outdate()
        return granted

    def unregister(self, member: Member, message: m.Unregister) -> m.Unregistered | None:
        """A guest gives a route back: the answer to it, None if it had none of that reference."""
        routes = self._routes[member]
        route = routes.pop(message.reference, None)
        if route is None:
            return None
        self._drop(member, route)
        return m.Unregistered(message.reference)

    def recheck(self, member: Member) -> list[m.Refused]:
        """The policy has changed: what C{member} may no longer serve, taken from it."""
        refused = []
        self._grant(member, self._granted[member])
        for reference, route in list(self._routes[member].items()):
            reason = self._forbidden(member, route)
            if reason is not None:
                del self._routes[member][reference]
                self._drop(member, route)
                refused.append(m.Refused(reference, b"policy", reason.encode()[:1024]))
        return refused

    def leave(self, member: Member) -> None:
        """C{member} is gone: so are all its routes."""
        now = self.now()
        member.feed(MemberEvent.LEAVE, now)
        self.registry.remove(member, now)
        self._granted.pop(member, None)
        known = self._routes.pop(member, None)
        self.epochs.gone(member, now)
        if known is not None:
            self.observer.left(member)

    def pong(self, member: Member, info: Info) -> bool:
        """
        C{member} answered a ping.

        @return: whether it takes nothing new from now on, where it did before.
        """
        full = info.get(b"full") is True
        turned = member.feed(MemberEvent.FILL if full else MemberEvent.CLEAR, self.now())
        if turned and not full:
            self.changed(member)
        before = self._granted[member]
        try:
            concurrency = m.lookup(info, b"concurrency", _count, before)
        except MessageError:
            return turned and full
        if concurrency != before:
            self._grant(member, concurrency)
            self.changed(member)
        return turned and full

    def measured(self, member: Member, seconds: float) -> None:
        """A ping of C{member} took C{seconds} there and back."""
        member.observe(seconds, self.now())

    def drain(self, member: Member) -> None:
        """C{member} gets nothing new."""
        member.feed(MemberEvent.DRAIN, self.now())

    def eject(self, member: Member) -> None:
        """C{member} does not answer: nothing new for it until it does."""
        member.feed(MemberEvent.EJECT, self.now())

    def revive(self, member: Member) -> None:
        """C{member} answers again."""
        if member.feed(MemberEvent.REVIVE, self.now()):
            self.changed(member)

    def expire(self, now: float) -> None:
        """Forget what is of no more use."""
        self.registry.expire(now)
        self.epochs.expire(now)
        self.penalties.expire(now)
        for identity, bucket in list(self._buckets.items()):
            if not bucket.wait(now, bucket.burst):
                del self._buckets[identity]

    def _grant(self, member: Member, concurrency: int) -> None:
        """The lesser of what the guest takes and what the policy grants it; 0 is no limit."""
        self._granted[member] = concurrency
        quota = self.quotas(member.identity).exchanges
        member.concurrency = min(concurrency, quota) if concurrency else quota

    def _check_rate(self, member: Member, now: float) -> None:
        rate = self.quotas(member.identity).registrations
        bucket = self._buckets.get(member.identity)
        if bucket is None or bucket.rate != rate:
            bucket = TokenBucket(rate, max(BURST, rate), now)
            self._buckets[member.identity] = bucket
        if not bucket.take(now):
            raise RouteRefused("too-fast", f"at most {rate} registrations a second are taken")

    def _check_policy(self, member: Member, route: Route) -> None:
        reason = self._forbidden(member, route)
        if reason is not None:
            raise RouteRefused("policy", reason)

    def _forbidden(self, member: Member, route: Route) -> str | None:
        """Why the policy does not let C{member} have C{route}; None if it does."""
        reason = self.policy.allows(member.identity, route)
        if reason is None and route.passthrough:
            reason = self.policy.passthrough_fault(member.identity, route)
        return reason

    def _check_passthrough(self, route: Route, tunnels: Container[bytes]) -> None:
        if route.path.source != ANY_PATH:
            raise RouteRefused("passthrough", "the TLS of a host is passed through for all paths")
        if TLS not in tunnels:
            raise RouteRefused("passthrough", "hello names no tunnel 'tls'")
        if not self.passes_tls:
            raise RouteRefused("passthrough", "clients of this proxy do not come over TLS")

    def _drop(self, member: Member, route: Route) -> None:
        if route not in self._routes[member].values():
            pool = self.registry.unregister(member, route, self.now())
            if pool is not None:
                member.tls.pop(pool, None)
            self.observer.served(member, route, False)


def _divided(quotas: Quotas, share: int) -> Quotas:
    """What of C{quotas} one of so many processes has. Each of them may have all the routes."""
    return replace(
        quotas,
        exchanges=max(1, quotas.exchanges // share),
        buffer=max(1, quotas.buffer // share),
        tunnels=-(-quotas.tunnels // share),
    )
