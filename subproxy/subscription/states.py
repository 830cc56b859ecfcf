"""The life of a guest's connection."""

from __future__ import annotations

from enum import Enum, auto

from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable


@fast_enum
class SubscriptionState(Enum):
    """Where a connection is in its life."""

    GREETING = auto()
    """It has not said what it is."""
    SUBSCRIBED = auto()
    """C{hello} was accepted: a L{Subscription} has it."""
    RETIRING = auto()
    """A newer instance has its place: it finishes what must not be executed twice."""
    DATA = auto()
    """It is a data connection: a L{DataConnection} has it."""
    CLOSING = auto()
    """We have said C{bye}: what still comes is thrown away until the peer ends it too."""
    CLOSED = auto()


TRANSITIONS: TransitionTable[SubscriptionState] = TransitionTable(
    {
        SubscriptionState.GREETING: {
            SubscriptionState.SUBSCRIBED,
            SubscriptionState.DATA,
            SubscriptionState.CLOSING,
            SubscriptionState.CLOSED,
        },
        SubscriptionState.SUBSCRIBED: {
            SubscriptionState.RETIRING,
            SubscriptionState.CLOSING,
            SubscriptionState.CLOSED,
        },
        SubscriptionState.RETIRING: {SubscriptionState.CLOSING, SubscriptionState.CLOSED},
        SubscriptionState.DATA: {SubscriptionState.CLOSED},
        SubscriptionState.CLOSING: {SubscriptionState.CLOSED},
        SubscriptionState.CLOSED: (),
    }
)
