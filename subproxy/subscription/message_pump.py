"""
What came from a guest and is not dealt with yet.

It is dealt with in turns, each of a bounded number of messages and within the L{TimeShare} of
its virtual machine, so that one guest cannot hold the reactor. Newcomers share what they may
take of a reactor turn (L{TurnBudget}), and who says what nobody needs is not read from for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from subproxy.core.fast_enum import fast_enum
from subproxy.core.reentrancy import ReentrancyGuard
from subproxy.core.states import TransitionTable
from subproxy.subscription.context import GuestContext
from subproxy.subscription.interfaces import Handlers, PumpedConnection
from subproxy.subscription.states import SubscriptionState
from subproxy.subscription.time_share import TimeShare
from subproxy.subscription.turn_budget import TurnBudget
from subproxy.wire.connection import Ignored
from subproxy.wire.messages import Hello, Register

_ENDED = (SubscriptionState.CLOSING, SubscriptionState.CLOSED)


@fast_enum
class PumpState(Enum):
    """What becomes of what comes."""

    READY = auto()
    """It is dealt with at once."""
    HELD = auto()
    """It waits until a time has passed."""
    POSTPONED = auto()
    """It waits until others have had their share of the processor."""
    CLOSED = auto()
    """It is nobody's business any more."""


TRANSITIONS: TransitionTable[PumpState] = TransitionTable(
    {
        PumpState.READY: {PumpState.HELD, PumpState.POSTPONED, PumpState.CLOSED},
        PumpState.HELD: {PumpState.READY, PumpState.CLOSED},
        PumpState.POSTPONED: {PumpState.READY, PumpState.CLOSED},
        PumpState.CLOSED: {PumpState.CLOSED},
    }
)


class MessagePump:
    """
    The turns of one connection.

    While something waits for a later one, its transport does not read.

    @ivar state: see L{PumpState}.
    @ivar handlers: what is done with an event of the wire, by its type.
    @ivar rest: seconds for which to read nothing after the event of the moment.
    @ivar turn: whether one is under way.
    @ivar since: when the work for the event of the moment began, by the timer of the share.
    """

    __slots__ = (
        "_call",
        "_clock",
        "_connection",
        "_most",
        "_turns",
        "handlers",
        "rest",
        "since",
        "state",
        "turn",
    )

    def __init__(
        self, connection: PumpedConnection, context: GuestContext, handlers: Handlers
    ) -> None:
        self.handlers: dict[type[Any], Callable[[Any], None]] = dict(handlers)
        self.rest = 0.0
        self.state = PumpState.READY
        self.turn = ReentrancyGuard()
        self.since = 0.0
        self._connection: PumpedConnection | None = connection
        self._clock = context.clock
        self._turns = context.turns
        self._most = context.settings.events_a_turn  # messages that a turn deals with
        self._call: IDelayedCall | None = None

    @property
    def behind(self) -> bool:
        """Some of what came waits for its turn: what comes now has to wait, too."""
        return self.state is PumpState.HELD or self.state is PumpState.POSTPONED

    def take(self, data: bytes) -> None:
        """Bytes came: deal with them now, or when it is their turn."""
        connection = self._connection
        assert connection is not None
        connection.wire.feed(data)
        if self.state is PumpState.READY:
            if connection.state is SubscriptionState.GREETING and self._turns.exhausted():
                self._postpone(connection, self._turns)
            elif connection.share.exhausted():
                self._postpone(connection, connection.share)
            else:
                self._turn(connection)

    def hold(self, seconds: float, then: Callable[[], None]) -> None:
        """Read nothing for so long; then call C{then}."""
        connection = self._connection
        assert connection is not None
        self._go(PumpState.HELD)
        connection.transport.pauseProducing()
        self._call = self._clock.callLater(seconds, self._held, then)

    def _held(self, then: Callable[[], None]) -> None:
        self._call = None
        self._go(PumpState.READY)
        then()

    def go_on(self) -> None:
        """Have a turn, and read again if nothing is left behind it."""
        connection = self._connection
        if connection is None:
            return
        self._turn(connection)
        if not self.behind and connection.state is not SubscriptionState.CLOSED:
            connection.caught_up()

    def close(self) -> None:
        """Nothing comes any more; what has come is nobody's business."""
        self._go(PumpState.CLOSED)
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        # So that the connection goes with the last who knows it: no cycle for the collector.
        self._connection = None
        self.handlers = {}

    def _turn(self, connection: PumpedConnection) -> None:
        if connection.state in _ENDED:
            return
        share = connection.share
        timer = share.timer
        self.since = began = timer()
        with self.turn:
            wire, handlers = connection.wire, self.handlers
            left = self._most
            while left > 0:
                event = wire.next_event()
                if event is None:
                    break
                left -= event.frames if type(event) is Ignored else 1
                handlers[type(event)](event)
                now = timer()
                share.used += now - began
                self.since = began = now
                if connection.state in _ENDED:
                    break
                if self.rest:
                    # It has said so much that nobody needs: the rest of it can wait.
                    rest, self.rest = self.rest, 0.0
                    self.hold(rest, self.go_on)
                    break
                if type(event) in (Hello, Register) and self._turns.exhausted():
                    self._postpone(connection, self._turns)
                    break
                if share.spent():
                    self._postpone(connection, share)
                    break
            else:
                # More may be there: let others have their turn first.
                self.hold(0, self.go_on)
        connection.flush()
        share.used += timer() - began

    def wait(self) -> None:
        """The share of its virtual machine is spent: go on in a later turn, unless it waits."""
        connection = self._connection
        assert connection is not None
        if not self.behind:
            self._postpone(connection, connection.share)

    def _postpone(self, connection: PumpedConnection, share: TurnBudget | TimeShare) -> None:
        """What may be taken of this turn of the reactor was taken: go on in a later one."""
        self._go(PumpState.POSTPONED)
        connection.transport.pauseProducing()
        share.defer(self._my_turn)

    def _my_turn(self) -> None:
        if self.state is PumpState.POSTPONED:
            self._go(PumpState.READY)
            self.go_on()

    def _go(self, state: PumpState) -> None:
        self.state = TRANSITIONS.move(self.state, state)
