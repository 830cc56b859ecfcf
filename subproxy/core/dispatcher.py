"""
Who answers an exchange: router, balancer, admission and retry, put together.

The only place where an exchange is given to a subscriber or taken back from one, and so the
only one that counts what a member has in flight. Time comes from a function that is given.
"""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from subproxy.core.balancer import Balancer, PowerOfTwo, Random
from subproxy.core.exchange import Exchange, State
from subproxy.core.member import Member
from subproxy.core.router import Router
from subproxy.errors import NoRoute, NoSubscriber, ProxyError
from subproxy.interfaces import IDispatcher


@implementer(IDispatcher)
class Dispatcher:
    """
    Gives exchanges to subscribers.

    @ivar now: monotonic seconds.
    """

    def __init__(
        self,
        router: Router,
        now: Callable[[], float],
        random: Random,
        balancer: Balancer | None = None,
    ) -> None:
        self.router = router
        self.now = now
        self._random = random
        self._balancer = balancer or PowerOfTwo()

    # What the frontend calls.

    def dispatch(self, exchange: Exchange) -> None:
        """See L{IDispatcher}."""
        request = exchange.request
        exchange.dispatcher = self
        pool = self.router.lookup(request.host, request.path)
        if pool is None:
            exchange.fail(NoRoute())
            return
        exchange.pool = pool
        self._place(exchange)

    def finished(self, exchange: Exchange) -> None:
        """See L{IDispatcher}."""
        self._release(exchange)

    # What a channel calls.

    def lost(self, exchange: Exchange, error: ProxyError) -> None:
        """
        The guest that had C{exchange} failed with C{error}: give it to another, or fail it.
        """
        if exchange.state is State.DONE:
            return
        if self.movable(exchange, error):
            self._release(exchange)
            exchange.released()
            self._place(exchange)
        else:
            exchange.fail(error)

    def movable(self, exchange: Exchange, error: ProxyError) -> bool:
        """Whether C{exchange} may be given to another guest after C{error}."""
        return False

    def capacity(self, member: Member) -> None:
        """C{member} can take more than it could before."""

    def expire(self, now: float) -> None:
        """Look after what waits."""

    def _place(self, exchange: Exchange) -> None:
        assert exchange.pool is not None
        member = self._balancer.choose(exchange.pool, self.now(), self._random)
        if member is None:
            exchange.fail(NoSubscriber())
            return
        self._give(exchange, member)

    def _give(self, exchange: Exchange, member: Member) -> None:
        member.in_flight += 1
        exchange.holder = exchange.member = member
        member.channel.send(exchange)

    def _release(self, exchange: Exchange) -> None:
        holder = exchange.holder
        if holder is not None:
            exchange.holder = None
            holder.in_flight -= 1
