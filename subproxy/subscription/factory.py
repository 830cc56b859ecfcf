"""
All subscriptions of a proxy: who may connect, who replaces whom.

Every listener for guests, native or emulated, shares one L{SubscriptionFactory}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime, ITransport
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from subproxy.core.balancing.member import Member
from subproxy.core.dispatcher import Dispatcher
from subproxy.relay.pipes import MANY, PipePool
from subproxy.relay.pump import Pump
from subproxy.subscription.bodies.tokens import Tokens
from subproxy.subscription.buffer_account import BufferAccount
from subproxy.subscription.context import GuestContext
from subproxy.subscription.interfaces import ActiveSubscription, AdmittedConnection, Connections
from subproxy.subscription.liveness import period
from subproxy.subscription.log_limiter import WARN
from subproxy.subscription.protocol import SubscriptionProtocol
from subproxy.subscription.registrar import Registrar
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.subscription.states import SubscriptionState
from subproxy.subscription.time_share import TimeShare
from subproxy.subscription.timer_wheel import TimerWheel
from subproxy.subscription.tunnels import Tunnels
from subproxy.subscription.turn_budget import TurnBudget


class SubscriptionFactory(Factory):
    """
    Makes a L{SubscriptionProtocol} for each connection of a guest.

    A connection over its identity's quota, or one of too many in a short time, is accepted and
    closed: never accepting would freeze every port of that VM on some VMMs.

    @ivar subscriptions: the connections that are open.
    @ivar context: what they share.
    @ivar accepting: how much of a reactor turn accepting them may take.
    @ivar protocol: what it makes.
    @param identify: who is at the other end of a transport.
    @param recognise: the same by the address alone, where that proves it, so that who is refused
        costs no protocol; None where it does not.
    """

    protocol: Callable[[GuestContext, Connections, str], SubscriptionProtocol] = (
        SubscriptionProtocol
    )
    noisy = False
    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        dispatcher: Dispatcher,
        registrar: Registrar,
        identify: Callable[[ITransport], str],
        settings: SubscriptionSettings | None = None,
        random: Random | None = None,
        recognise: Callable[[object], str | None] = lambda address: None,
        pipes: PipePool | None = None,
    ) -> None:
        settings = settings or SubscriptionSettings()
        self._random = random or Random()
        self.context = GuestContext(
            clock=clock,
            dispatcher=dispatcher,
            registrar=registrar,
            settings=settings,
            pipes=PipePool(many=MANY // settings.processes) if pipes is None else pipes,
            pump=Pump(clock),
            tokens=Tokens(
                clock, settings.claim_timeout, settings.predecessor, settings.token_prefix
            ),
            turns=TurnBudget(clock),
            rounds=self._wheel(clock, settings),
            tunnels=Tunnels(registrar),
        )
        self.subscriptions: set[AdmittedConnection] = set()
        self.accepting = TurnBudget(clock)
        self._identify = identify
        self._recognise = recognise
        self._counts: Counter[str] = Counter()
        self._shares: dict[str, TimeShare] = {}
        self._held: dict[str, BufferAccount] = {}
        self._by_member: dict[Member, ActiveSubscription] = {}
        self._empty: Deferred[None] | None = None

    def _wheel(self, clock: IReactorTime, settings: SubscriptionSettings) -> TimerWheel:
        every = period(settings.ping_interval, settings.ping_timeout)
        return TimerWheel(clock, every, self._random)

    def set_settings(self, settings: SubscriptionSettings) -> None:
        """
        Go by C{settings} with who dials from now on.

        Others keep theirs, which they were told: a guest expects pings as it was promised them.
        """
        clock = self.context.clock
        self.context = replace(self.context, settings=settings, rounds=self._wheel(clock, settings))

    def buildProtocol(self, addr: IAddress | None) -> SubscriptionProtocol | None:
        """A guest dialled; who it is, its address tells, or its transport will tell."""
        identity = self._recognise(addr)
        if identity is not None and not self._may_connect(identity):
            return None
        return self.protocol(self.context, self, identity or "")

    def admit(self, protocol: AdmittedConnection) -> bool:
        """Whether C{protocol} may stay; its identity is known then."""
        if not protocol.identity:
            identity = self._identify(protocol.transport)
            if not self._may_connect(identity):
                return False
            protocol.identity = identity
        share = self._shares.get(protocol.identity)
        if share is None:
            share = self._shares[protocol.identity] = TimeShare(
                self.context.clock, self.context.settings.share
            )
            self._held[protocol.identity] = BufferAccount()
        protocol.belongs(share, self._held[protocol.identity])
        self._counts[protocol.identity] += 1
        self.subscriptions.add(protocol)
        return True

    def carries(self, protocol: AdmittedConnection) -> bool:
        """Whether C{protocol} may stay, though it is for bodies."""
        return True

    def connections_of(self, identity: str) -> int:
        """How many connections C{identity} has."""
        return self._counts[identity]

    def passed(self, identity: str) -> SubscriptionProtocol:
        """Another process has accepted a connection of C{identity}, and lets us have it."""
        return self.protocol(self.context, self, identity)

    def supersede(self, newer: Member) -> None:
        """
        An instance has greeted at another process: who has its place here, leaves it.

        @param newer: stands for it; it has no connection here.
        """
        registrar = self.context.registrar
        registrar.epochs.hello(newer)
        registrar.epochs.gone(newer, registrar.now())
        line = newer.identity, newer.application, newer.worker
        for member, subscription in list(self._by_member.items()):
            if (member.identity, member.application, member.worker) == line:
                subscription.retire(newer)

    def _may_connect(self, identity: str) -> bool:
        """Whether C{identity} may open one more connection."""
        registrar = self.context.registrar
        quota = registrar.quotas(identity).connections
        if self._counts[identity] >= quota:
            refusal = "{identity} has {quota} connections already: refused"
        elif not registrar.penalties.admit_dial(identity, quota, registrar.now()):
            refusal = "{identity} opens connections too often: refused"
        else:
            return True
        registrar.log_limiter.emit(self._log, WARN, identity, refusal, quota=quota)
        return False

    def greeted(self, subscription: ActiveSubscription, replaced: Member | None) -> None:
        """C{subscription} begins, in the place of C{replaced}."""
        self._by_member[subscription.member] = subscription
        older = None if replaced is None else self._by_member.get(replaced)
        if older is not None:
            older.retire(subscription.member)

    def left(self, member: Member) -> None:
        """C{member} takes no more part."""
        self._by_member.pop(member, None)

    def gone(self, protocol: AdmittedConnection) -> None:
        """The connection of C{protocol} is closed."""
        if protocol not in self.subscriptions:
            return
        self.subscriptions.discard(protocol)
        self._counts[protocol.identity] -= 1
        self.context.registrar.observer.closed(protocol.identity)
        if not self._counts[protocol.identity]:
            for kept in (self._counts, self._shares, self._held):
                del kept[protocol.identity]
        if self._empty is not None and not self.subscriptions:
            waiting, self._empty = self._empty, None
            waiting.callback(None)

    def policy_changed(self) -> None:
        """Take from every guest what it may no longer serve, and tell it."""
        for subscription in list(self._by_member.values()):
            subscription.recheck()

    def drain(self, spare: bool = False) -> None:
        """
        Tell every guest that nothing new will come.

        @param spare: only those without whom each of their routes is still served.
        """
        for subscription in list(self._by_member.values()):
            if not spare or subscription.spare:
                subscription.drain()

    def when_empty(self) -> Deferred[None]:
        """Fires when there are no connections."""
        done: Deferred[None] = Deferred()
        if not self.subscriptions:
            done.callback(None)
        else:
            self._empty = done
        return done

    def close(self, code: bytes, reason: str) -> Deferred[None]:
        """End all subscriptions; fires when their connections are closed."""
        self.context.pump.close()
        self.context.pipes.close()
        for protocol in list(self.subscriptions):
            if protocol.state is not SubscriptionState.CLOSED:
                protocol.close(code, reason)
        return self.when_empty()
