"""
The receiving side of a connection, as a table: who takes what the peer sends.

Clients' connections and guests' data connections have the same: each may stop reading, and each
may lend its descriptor (L{subproxy.relay.socket_lease}) to who moves a body past it.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable


@fast_enum
class ReceivingState(Enum):
    """Who takes what the peer sends."""

    READING = auto()
    """The transport reads."""
    PAUSED = auto()
    """Nobody: whoever the bytes are for takes no more for now."""
    LENT = auto()
    """Who has borrowed the descriptor."""
    ENDED = auto()
    """There is no more: the peer has closed its half."""


UNHEARD: Final = frozenset({ReceivingState.PAUSED, ReceivingState.LENT})
"""Nobody hears the peer leaving: who must know has to look."""

TRANSITIONS: TransitionTable[ReceivingState] = TransitionTable(
    {
        ReceivingState.READING: {
            ReceivingState.PAUSED,
            ReceivingState.LENT,
            ReceivingState.ENDED,
        },
        ReceivingState.PAUSED: {
            ReceivingState.READING,
            ReceivingState.LENT,
            ReceivingState.ENDED,
        },
        ReceivingState.LENT: {
            ReceivingState.READING,
            ReceivingState.PAUSED,
            ReceivingState.ENDED,
        },
        # It may be told again, to who was busy with what came before it.
        ReceivingState.ENDED: {ReceivingState.ENDED},
    }
)
