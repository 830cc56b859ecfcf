"""The life of a guest's connection."""

from __future__ import annotations

from enum import Enum, auto


class State(Enum):
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


TRANSITIONS: dict[State, frozenset[State]] = {
    State.GREETING: frozenset({State.SUBSCRIBED, State.DATA, State.CLOSING, State.CLOSED}),
    State.SUBSCRIBED: frozenset({State.RETIRING, State.CLOSING, State.CLOSED}),
    State.RETIRING: frozenset({State.CLOSING, State.CLOSED}),
    State.DATA: frozenset({State.CLOSED}),
    State.CLOSING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}
