"""
Who answers an exchange: router, admission and retry, put together.

The only place where an exchange is given to a subscriber or taken back from one. Decisions are
made by L{subproxy.core.balancing.admission} and L{subproxy.core.balancing.retry}, and before them
by L{subproxy.core.site_entrance}; this acts on them. Time comes from a function that is given.

Compiled a second time, of a request that ends and of those whose turn that makes it:
L{subproxy.fastpath._waiting_queue}; of one that is taken from its guest:
L{subproxy.fastpath._connection} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from zope.interface import implementer

from subproxy.core.balancing import retry
from subproxy.core.balancing.admission import (
    USUAL,
    Admission,
    Admitted,
    Refuse,
    RequestTerms,
    Send,
    Ticket,
    Wait,
)
from subproxy.core.balancing.member import GONE, READY, Member, MemberState, Pool
from subproxy.core.balancing.pool_owner import PoolOwner
from subproxy.core.balancing.retry import Progress, RetryBudget, RetryDecision
from subproxy.core.challenges import FIELDS, ChallengeFinder, challenge_answer
from subproxy.core.exchange import Exchange, ExchangeState, IDispatcher, RequestHead
from subproxy.core.failing_members import FailingMembers
from subproxy.core.reentrancy import ReentrancyGuard
from subproxy.core.refusals import refusal
from subproxy.core.routing.router import RouteMatch, Router
from subproxy.core.site_entrance import SiteEntrance
from subproxy.core.sites.site_rules import SiteRules
from subproxy.core.waiting_request import WaitingRequest
from subproxy.errors import GuestRefused, MachineDown, NoRoute, ProxyError, QueueFull


@implementer(IDispatcher)
class Dispatcher:
    """
    Gives exchanges to subscribers.

    @ivar now: monotonic seconds.
    @ivar entrance: what sites let in before anything waits.
    @ivar challenges: what knows answers to the challenges of certificate authorities.
    @ivar failing: who fails at what it is asked.
    @ivar retries: exchanges that were moved to another subscriber so far.
    @ivar verdicts: how often each decision about a retry was made.
    """

    def __init__(self, router: Router, admission: Admission, now: Callable[[], float]) -> None:
        self.router = router
        self.admission = admission
        self.now = now
        self.entrance = SiteEntrance(now)
        self.failing = FailingMembers(now, self.capacity)
        self.challenges: list[ChallengeFinder] = []
        self.verdicts = dict.fromkeys(RetryDecision, 0)
        self._admitted: deque[Admitted] = deque()
        self._delivering = ReentrancyGuard()

    @property
    def retries(self) -> int:
        """See above."""
        return self.verdicts[RetryDecision.RETRY]

    # What the frontend calls.

    def dispatch(self, exchange: Exchange) -> None:
        """See L{IDispatcher}."""
        exchange.dispatcher = self
        pool, rules = self._match(exchange.request)
        exchange.pool = pool
        if self.challenges and self._challenged(exchange):
            return
        # Before anything waits, or is woken.
        if rules is not None and not self.entrance.admit(exchange, rules, self._go_on_later):
            return
        self._go_on(exchange, pool)

    def _go_on_later(self, exchange: Exchange) -> None:
        """C{exchange} was let in by who was asked: guests may have come and gone meanwhile."""
        request = exchange.request
        exchange.pool = self.router.match(request.host, request.path).pool
        self._go_on(exchange, exchange.pool)

    def _go_on(self, exchange: Exchange, pool: Pool | None) -> None:
        """C{exchange} has passed the rules of its site."""
        if pool is None:
            exchange.fail(NoRoute())
            return
        self.budget(pool).requests += 1
        self._submit(exchange, pool)

    def dispatch_here(
        self, exchange: Exchange, others: Callable[[Member], bool], *, patient: bool = False
    ) -> None:
        """
        As L{dispatch}, of an exchange that another process of the proxy has passed on.

        The rules of its site were applied there. Where no guest of this process can take it, it is
        refused at once: the other one may know better by now.

        @param others: whether a member is another process, which must not be asked.
        @param patient: it comes from another host, which hears later of what guests do here. Where
            nobody else is known to have the route, it waits as one of a client's would.
        """
        exchange.dispatcher = self
        pool = exchange.pool = self._match(exchange.request).pool
        if pool is None or (
            all(
                others(member) or member.state in (MemberState.DRAINING, GONE)
                for member in pool.members
            )
            and not (patient and not any(member.state == READY for member in pool.members))
        ):
            exchange.fail(GuestRefused("its guests have left"))
            return
        exchange.tried += tuple(member for member in pool.members if others(member))
        self.budget(pool).requests += 1
        self._submit(exchange, pool)

    def site_rules(self, request: RequestHead) -> SiteRules | None:
        """See L{IDispatcher}."""
        if self.router.sites is None:
            return None
        return self.router.match(request.host, request.path).rules

    def _match(self, request: RequestHead) -> RouteMatch:
        if request.passthrough:
            return self.router.match_passthrough(request.host)
        return self.router.match(request.host, request.path)

    def _challenged(self, exchange: Exchange) -> bool:
        """Whether C{exchange} is a challenge that is known, and answered."""
        request = exchange.request
        answer = challenge_answer(self.challenges, request.method, request.path)
        if answer is None:
            return False
        exchange.move(ExchangeState.SENT)
        exchange.response_start(200, b"", [*FIELDS], answer)
        return True

    def finished(self, exchange: Exchange) -> None:
        """See L{IDispatcher}."""
        if exchange.site is not None:
            exchange.site.release()
        if exchange.ticket is not None:
            self.admission.leave(exchange.ticket)
            exchange.waited(self.now())
        self._release(exchange)
        self.failing.ended(exchange)

    def woken(self, exchange: Exchange) -> None:
        """See L{IDispatcher}."""
        owner = None if exchange.pool is None else exchange.pool.owner
        if owner is not None:
            owner.answered(owner, exchange.member)

    def tunnel_started(self, exchange: Exchange) -> None:
        """See L{IDispatcher}."""
        self._release(exchange)

    # What subscriptions call.

    def lost(self, exchange: Exchange, error: ProxyError) -> None:
        """The guest that had C{exchange} failed with C{error}: give it to another, or fail it."""
        if exchange.state is ExchangeState.DONE:
            return
        pool = exchange.pool
        assert pool is not None
        assert exchange.member is not None
        exchange.tried = _tried(exchange.tried, exchange.member)
        if self._decide(exchange, pool, error, _would_take(pool, exchange.tried)):
            self.failing.failed(exchange.member, error)
            self.move(exchange)
        else:
            exchange.fail(error)

    def take_back(
        self,
        pool: Pool,
        member: Member,
        error: ProxyError,
        method: bytes,
        attempts: int,
        tried: tuple[Member, ...],
    ) -> tuple[Member, ...] | None:
        """
        As L{lost}, of a request of the compiled path, of which nothing was answered.

        @param attempts: how many guests have been given it, C{member} included.
        @param tried: the subscribers that have failed it before, though they are there.
        @return: those that have by now, and it is to be moved by L{submit_again}; None: that is
            not for the compiled path, and nothing was done.
        """
        tried = _tried(tried, member)
        verdict = retry.may_move(
            method,
            Progress.NOT_SENT if error.retry_safe else Progress.SENT,
            body_held=True,
            attempts=attempts,
            taker=_would_take(pool, tried),
        )
        # Where it is not to move, that is decided again, with the same result.
        if verdict is not RetryDecision.RETRY or not self.budget(pool).withdraw(self.now()):
            return None
        self.verdicts[verdict] += 1
        self.failing.failed(member, error)
        return tried

    def submit_again(self, ticket: Ticket, terms: RequestTerms = USUAL) -> None:
        """
        Find somebody for the request of C{ticket}, which was taken back, and is in no queue.

        Its C{excluded} have failed it.
        """
        pool = ticket.pool
        if self.failing.detector.out:
            self.failing.relieve(pool)
        request: WaitingRequest = ticket.exchange
        now = self.now()
        decision: Send | Wait | Refuse | None = None
        if pool.owner is None:
            decision = self.admission.submit(request, pool, now, tuple(ticket.excluded), terms)
        if isinstance(decision, Wait):
            request.waits(decision.ticket)
            return
        if isinstance(decision, Send) and request.goes_to(decision.member):
            return
        exchange = request.as_exchange()
        exchange.waited(now)
        if decision is None:
            self._submit(exchange, pool)
        elif isinstance(decision, Send):
            self._give(exchange, decision.member)
        else:
            exchange.fail(refusal(decision))

    def may_take(self, exchange: Exchange, error: ProxyError, *, replaced: bool) -> bool:
        """
        Whether to take C{exchange} from a guest that has it, and might still answer it.

        To be asked before anything is taken. Where this is true, the retry has been paid for:
        take it, and L{move} it. Where it is false, it is better off where it is.

        @param error: why it would be taken.
        @param replaced: another is about to register what the guest served; else somebody must
            be there already.
        """
        pool = exchange.pool
        if pool is None or exchange.state is ExchangeState.DONE:
            return False
        taker = replaced or _left(pool, exchange.tried)
        taker = taker and self.admission.accepts(pool, self.now(), exchange.tried)
        return self._decide(exchange, pool, error, taker)

    def move(self, exchange: Exchange) -> None:
        """Give C{exchange}, which its guest has no more, to another."""
        pool = exchange.pool
        assert pool is not None
        exchange.released(self.now())
        self._release(exchange)
        self._submit(exchange, pool)

    def _decide(self, exchange: Exchange, pool: Pool, error: ProxyError, taker: bool) -> bool:
        """Decide whether C{exchange} moves: the only call of L{retry.decide}."""
        verdict = retry.decide(
            exchange.request.method,
            progress_of(exchange, error),
            body_held=exchange.held,
            attempts=exchange.attempts,
            budget=self.budget(pool),
            now=self.now(),
            taker=taker,
        )
        self.verdicts[verdict] += 1
        return verdict is RetryDecision.RETRY

    def capacity(self, member: Member) -> None:
        """C{member} has joined a pool, has returned, or takes more than before."""
        self.deliver(self.admission.relieve(member, self.now()))

    def relieved(self, member: Member) -> None:
        """C{member} has finished an exchange, and others wait."""
        self.deliver(self.admission.relieve(member, self.now()))

    def reroute(self, pool: Pool) -> None:
        """Let those that wait for C{pool} go where their routes are by now, if that is known."""
        given_up = self.admission.gives_up(pool, self.now())
        for ticket in self.admission.tickets(pool):
            exchange = waiting_exchange(ticket)
            found = self._match(exchange.request).pool
            if found is pool and not given_up:
                continue
            self.admission.leave(ticket)
            exchange.waited(self.now())
            if found is None or found is pool:
                exchange.fail(NoRoute())
                continue
            exchange.pool = found
            self._submit(exchange, found)

    def own(self, pool: Pool, owner: PoolOwner | None) -> None:
        """C{owner} is woken for C{pool} from now on; who waits for it waits anew."""
        tickets = self.admission.tickets(pool)
        for ticket in tickets:
            self.admission.leave(ticket)
        pool.owner = owner
        for ticket in tickets:
            exchange = waiting_exchange(ticket)
            exchange.waited(self.now())
            self._submit(exchange, pool)

    def refuse_waiting(self, pool: Pool, error: ProxyError) -> None:
        """Nobody is going to serve C{pool}: who waits for it is told so."""
        for ticket in self.admission.tickets(pool):
            self.admission.leave(ticket)
            exchange = waiting_exchange(ticket)
            exchange.waited(self.now())
            exchange.fail(error)

    # What a timer calls.

    def expire(self, now: float) -> None:
        """Fail those that have waited for too long."""
        for expired in self.admission.expired(now):
            exchange = waiting_exchange(expired.ticket)
            exchange.waited(now)
            exchange.fail(refusal(expired.refusal))
        self.failing.expire()

    # Acting on decisions.

    def _submit(self, exchange: Exchange, pool: Pool) -> None:
        if self.failing.detector.out:
            self.failing.relieve(pool)
        terms = USUAL if exchange.site is None else exchange.site.terms(pool, exchange.tried)
        owner = pool.owner
        if owner is not None and owner.concrete is not None and not pool.has_ready():
            found = self._concrete(exchange, owner.concrete, terms)
            if isinstance(found, ProxyError):
                exchange.fail(found)
                return
            pool = exchange.pool = found
        decision = self.admission.submit(exchange, pool, self.now(), exchange.tried, terms)
        if isinstance(decision, Send):
            self._give(exchange, decision.member)
        elif isinstance(decision, Refuse):
            exchange.fail(refusal(decision))
        else:
            exchange.ticket = decision.ticket

    def _concrete(
        self,
        exchange: Exchange,
        make: Callable[[bytes, bytes], Pool | ProxyError],
        terms: RequestTerms,
    ) -> Pool | ProxyError:
        """The pool of the machine, made of a template, that C{exchange} is for; or why not."""
        if terms.wake and self.admission.has_room():
            return make(exchange.request.host, exchange.request.path)
        error: ProxyError = QueueFull() if terms.wake else MachineDown()
        error.retry_after = 1
        return error

    def _give(self, exchange: Exchange, member: Member) -> None:
        exchange.holder = exchange.member = member
        exchange.given = self.now()
        member.channel.send(exchange)

    def _release(self, exchange: Exchange) -> None:
        holder, exchange.holder = exchange.holder, None
        if holder is not None:
            self.admission.release(holder)
            if self.admission.waiting:
                self.relieved(holder)

    def deliver(self, admitted: list[Admitted]) -> None:
        """Give what was admitted to its members; flat, though a delivery may admit more."""
        self._admitted.extend(admitted)
        if self._delivering.depth:
            return
        with self._delivering:
            while self._admitted:
                each = self._admitted.popleft()
                if each.member.state != GONE and each.ticket.exchange.goes_to(each.member):
                    continue
                exchange = waiting_exchange(each.ticket)
                exchange.waited(self.now())
                if exchange.state is ExchangeState.NEW and each.member.state != GONE:
                    self._give(exchange, each.member)
                    continue
                self.admission.release(each.member)
                if exchange.state is ExchangeState.NEW:
                    self._submit(exchange, each.ticket.pool)

    def budget(self, pool: Pool) -> RetryBudget:
        """What C{pool} may spend on retries."""
        budget: RetryBudget | None = pool.retries
        if budget is None:
            budget = pool.retries = RetryBudget(self.now())
        return budget


def _tried(tried: tuple[Member, ...], member: Member) -> tuple[Member, ...]:
    """Who has failed an exchange by now, C{member} the last: who need not be asked again."""
    # One that is ejected or gone is not asked anyway, and as good as any if it returns.
    return (*tried, member) if member.state == READY else tried


def _left(pool: Pool, tried: tuple[Member, ...]) -> bool:
    """Tell whether C{pool} has a ready member that has not been tried."""
    return any(member.state == READY and member not in tried for member in pool.members)


def _would_take(pool: Pool, tried: tuple[Member, ...]) -> bool:
    """Whether somebody of C{pool} is left to try, or it is empty only for a moment."""
    return _left(pool, tried) or not pool.has_ready()


def waiting_exchange(ticket: Ticket) -> Exchange:
    """What has C{ticket}: from now on an exchange, if it is none yet."""
    request: WaitingRequest = ticket.exchange
    return request.as_exchange()


def progress_of(exchange: Exchange, error: ProxyError) -> Progress:
    """How far C{exchange} has come with the guest that failed with C{error}."""
    if exchange.state in (ExchangeState.RESPONDING, ExchangeState.REQUESTING):
        return Progress.RESPONDING
    return Progress.NOT_SENT if error.retry_safe else Progress.SENT
