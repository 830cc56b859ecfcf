"""
What becomes of members that fail: what L{subproxy.core.balancing.outliers} decides, in force.

Time comes from a function that is given. The compiled path tells of answers that are errors, and of
all of a member that is watched: L{subproxy.fastpath._waiting_queue} (see
L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections.abc import Callable

from subproxy.core.balancing.member import Member, MemberEvent, Pool
from subproxy.core.balancing.outliers import (
    REASONS,
    Decision,
    Eject,
    OutlierDetector,
    Reinstate,
    Reweigh,
)
from subproxy.core.exchange import Exchange
from subproxy.errors import GuestFailure, GuestRefused, ProxyError

NOT_FAILURES = frozenset({501, 505})
"""What is wrong with the request, though it is called an error of the server."""


def is_failure(status: int) -> bool:
    """Whether an answer of that status says that the application has failed."""
    return status >= 500 and status not in NOT_FAILURES


class FailingMembers:
    """
    Watches, and acts.

    @ivar detector: decides.
    @ivar told: told of each decision, for the log.
    @ivar ejections: how often members were taken out, by the reason.
    """

    def __init__(self, now: Callable[[], float], capacity: Callable[[Member], None]) -> None:
        self.detector = OutlierDetector()
        self.told: Callable[[Decision], None] = lambda decision: None
        self.ejections = dict.fromkeys(REASONS, 0)
        self._now = now
        self._capacity = capacity

    def ended(self, exchange: Exchange) -> None:
        """C{exchange} is over, however it ended."""
        member, response = exchange.member, exchange.response
        if member is None:
            return
        if exchange.error is not None:
            self.failed(member, exchange.error)
        elif response is not None:
            self.answered(member, response.status)

    def failed(self, member: Member, error: ProxyError) -> None:
        """C{member} had an exchange that has come to C{error}; it need not be its fault."""
        # Who refuses has not tried, and its connection says when it is gone.
        if isinstance(error, GuestFailure) and not isinstance(error, GuestRefused):
            self._act(self.detector.failed(member, self._now()))

    def answered(self, member: Member, status: int) -> None:
        """C{member} has answered with C{status}."""
        if is_failure(status):
            self._act(self.detector.failed(member, self._now()))
        elif member.outcomes is not None:
            self._act(self.detector.succeeded(member))

    def expire(self) -> None:
        """Look what time has brought."""
        for decision in self.detector.expire(self._now()):
            self._act(decision)

    def relieve(self, pool: Pool) -> None:
        """Bring back who is out, if nobody else of C{pool} is there."""
        for decision in self.detector.relieve(pool):
            self._act(decision)

    def _act(self, decision: Decision | None) -> None:
        match decision:
            case None:
                return
            case Reweigh():
                decision.member.reweigh(share=decision.share)
            case Eject():
                self.ejections[decision.reason] += 1
                decision.member.reweigh(share=1.0)
                decision.member.feed(MemberEvent.FAIL, self._now())
            case Reinstate():
                if decision.member.feed(MemberEvent.RECOVER, self._now()):
                    self._capacity(decision.member)
        self.told(decision)
