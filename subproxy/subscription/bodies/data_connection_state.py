"""The states of a data connection, as the proxy has it."""

from __future__ import annotations

from enum import Enum, auto

from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable


@fast_enum
class DataConnectionState(Enum):
    """What a data connection does."""

    IDLE = auto()
    """It waits for a C{connect}."""
    RECEIVING = auto()
    """The guest sends a body."""
    SENDING = auto()
    """A body is sent to the guest."""
    HELD = auto()
    """
    What comes waits: of a tunnel, until the guest's half has moved; of a response's body, for its
    head.
    """
    DUPLEX = auto()
    """It carries a tunnel, both ways."""
    SPENT = auto()
    """That is over, and the guest closes."""
    CLOSED = auto()


TRANSITIONS: TransitionTable[DataConnectionState] = TransitionTable(
    {
        DataConnectionState.IDLE: {
            DataConnectionState.RECEIVING,
            DataConnectionState.SENDING,
            DataConnectionState.HELD,
            DataConnectionState.CLOSED,
        },
        DataConnectionState.RECEIVING: {DataConnectionState.IDLE, DataConnectionState.CLOSED},
        DataConnectionState.SENDING: {DataConnectionState.IDLE, DataConnectionState.CLOSED},
        DataConnectionState.HELD: {
            DataConnectionState.RECEIVING,
            DataConnectionState.DUPLEX,
            DataConnectionState.SPENT,
            DataConnectionState.CLOSED,
        },
        DataConnectionState.DUPLEX: {DataConnectionState.SPENT, DataConnectionState.CLOSED},
        DataConnectionState.SPENT: {DataConnectionState.CLOSED},
        DataConnectionState.CLOSED: (),
    }
)
