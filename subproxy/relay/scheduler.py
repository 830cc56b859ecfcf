"""
The flows of all relays in turn, a bounded number of bytes each, while nobody else waits.

Compiled where that can be (L{subproxy.relay._flow}); here is what takes its place, and
what it is tested against. Nobody outside is called in it: what somebody must be told is collected.
"""

from __future__ import annotations

import select
from collections import deque
from typing import TYPE_CHECKING

from subproxy.relay.flow import Flow, Outcome
from subproxy.relay.reactor_load import ReactorLoad

_MOST_EVENTS = 64

LOOKS = 3
"""So often who moved something looks in vain for more: to sleep and to be woken costs more."""

CALM = 64
"""So many rounds after somebody else has waited they are short: who comes once comes again."""

SOURCE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT
SINK = select.EPOLLOUT | select.EPOLLONESHOT
"""What is waited for, once: what comes in for a sink that takes no more is to wake nobody."""


class PlainSpliceScheduler:
    """
    Round-robin turns of the relays that can move bytes.

    @param poller: on which the flows' descriptors are, each for one event.
    @param others: who else waits for the reactor; None if that can't be told.
    @param most: bytes that all move at once though nobody else waits.
    @ivar turn: bytes that one moves before the next, about; and that all move in one round of which
        more is there, while somebody else is expected.
    @ivar alone: bytes that all move in one round.
    @ivar crowd: for so many rounds yet somebody else is expected.
    @ivar queue: who may have something to move.
    @ivar waiting: by descriptor, who is to be in the queue when that is ready.
    @ivar noted: who had a turn since L{take} was called.
    @ivar turning: a turn of the reactor goes on, from L{begin} on until whoever called that says
        so; who comes into the queue meanwhile need not have the reactor come back.
    """

    __slots__ = (
        "_most",
        "_moved",
        "_others",
        "_poller",
        "alone",
        "crowd",
        "noted",
        "queue",
        "turn",
        "turning",
        "waiting",
    )

    def __init__(
        self, poller: select.epoll, others: ReactorLoad | None, turn: int, alone: int, most: int
    ) -> None:
        self.turn = turn
        self.alone = alone
        self.crowd = 0
        self.queue: deque[Flow] = deque()
        self.waiting: dict[int, Flow] = {}
        self.noted: list[Flow] = []
        self.turning = False
        self._poller = poller
        self._others = others
        self._most = most
        self._moved = 0

    def enqueue(self, flow: Flow) -> None:
        """C{flow} may have something to move."""
        if not flow.queued:
            flow.queued = True
            self.queue.append(flow)

    def close(self) -> None:
        """Nothing is watched or moved any more: the poller is about to be closed."""
        self.waiting.clear()
        self.queue.clear()

    def begin(self) -> None:
        """A turn of the reactor begins."""
        self._moved = 0
        self.turning = True

    def take(self) -> list[Flow]:
        """Return the flows that had a turn since the last call."""
        noted, self.noted = self.noted, []
        for flow in noted:
            flow.noted = False
        return noted

    def run(self) -> list[tuple[Flow, Outcome]]:
        """
        SpliceScheduler, until one of them ends with something to tell, or it is time for others.

        @return: who has something to tell, and why it stopped; nobody: the turn is over.
        """
        looks = 0
        while True:
            for fd, _ in self._poller.poll(0, _MOST_EVENTS):
                flow = self.waiting.get(fd)
                if flow is not None:
                    self.enqueue(flow)
            told: list[tuple[Flow, Outcome]] = []
            moved = self._round(told)
            self._moved += moved
            looks = 0 if moved else looks + 1
            if (
                told
                or self._others is None
                or looks > (LOOKS if self._moved else 0)
                or self._moved >= self._most
            ):
                return told
            if self._others.has_pending_work():
                self.crowd = CALM
                return told

    @property
    def over(self) -> bool:
        """Whether as much has been moved as may be in a turn of the reactor."""
        return self._moved >= (self.alone if self._others is None else self._most)

    def _round(self, told: list[tuple[Flow, Outcome]]) -> int:
        queue = self.queue
        left = self.alone
        # Where others wait a round ends early, but not for bodies that end, or of which no more is
        # there yet: sixteen of a quarter of a mebibyte would be sixteen turns of the reactor.
        more = most = self.turn if self.crowd else self.alone
        if self.crowd:
            self.crowd -= 1
        while left > 0 and more > 0 and queue:
            flow = queue.popleft()
            flow.queued = False
            if flow.held_back:
                continue
            before = flow.given
            outcome = flow.move(min(self.turn, left) if queue else min(most, left), most)
            left -= flow.given - before
            if outcome == Outcome.SPENT:
                more -= flow.given - before
            flow.full = outcome == Outcome.FULL
            if not flow.noted:
                flow.noted = True
                self.noted.append(flow)
            if outcome == Outcome.SPENT:
                self.enqueue(flow)
            elif outcome == Outcome.EMPTY and flow.reads:
                self._poller.modify(flow.source, SOURCE)
            elif flow.full and flow.writes:
                self._poller.modify(flow.sink, SINK)
            else:
                told.append((flow, Outcome(outcome)))
        return self.alone - left


if TYPE_CHECKING:
    SpliceScheduler = PlainSpliceScheduler
else:
    try:
        from subproxy.relay._flow import SpliceScheduler
    except ImportError:
        SpliceScheduler = PlainSpliceScheduler
