"""The life of a guest's connection."""

from __future__ import annotations

from enum import Enum, auto


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


TRANSITIONS: dict[SubscriptionState, frozenset[SubscriptionState]] = {
    SubscriptionState.GREETING: frozenset(
        {
            SubscriptionState.SUBSCRIBED,
            SubscriptionState.DATA,
            SubscriptionState.CLOSING,
            SubscriptionState.CLOSED,
        }
    ),
    SubscriptionState.SUBSCRIBED: frozenset(
        {SubscriptionState.RETIRING, SubscriptionState.CLOSING, SubscriptionState.CLOSED}
    ),
    SubscriptionState.RETIRING: frozenset({SubscriptionState.CLOSING, SubscriptionState.CLOSED}),
    SubscriptionState.DATA: frozenset({SubscriptionState.CLOSED}),
    SubscriptionState.CLOSING: frozenset({SubscriptionState.CLOSED}),
    SubscriptionState.CLOSED: frozenset(),
}
