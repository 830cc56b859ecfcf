"""The states of a tunnel over a data connection, and of each of its halves, as tables."""

from __future__ import annotations

from enum import Enum, auto

from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable


@fast_enum
class TunnelTransferState(Enum):
    """How far it is."""

    OFFERED = auto()
    """A token is out for it; until it is claimed the tunnel is in frames."""
    AWAITED = auto()
    """Likewise, and there is no other way."""
    CARRIED = auto()
    """A data connection carries what each half has moved."""
    CUT = auto()
    """It has closed before the guest's end came, which may still say that all was here."""
    LAPSED = auto()
    """Nobody dialled: the tunnel stays in frames."""
    OVER = auto()
    """It is complete, or nobody wants it any more."""


TRANSITIONS: TransitionTable[TunnelTransferState] = TransitionTable(
    {
        TunnelTransferState.OFFERED: {
            TunnelTransferState.CARRIED,
            TunnelTransferState.LAPSED,
            TunnelTransferState.OVER,
        },
        TunnelTransferState.AWAITED: {TunnelTransferState.CARRIED, TunnelTransferState.OVER},
        TunnelTransferState.CARRIED: {TunnelTransferState.CUT, TunnelTransferState.OVER},
        TunnelTransferState.CUT: {TunnelTransferState.OVER},
        TunnelTransferState.LAPSED: {TunnelTransferState.OVER},
        TunnelTransferState.OVER: (),
    }
)


@fast_enum
class TunnelHalfState(Enum):
    """Where one half of a tunnel passes."""

    FRAMED = auto()
    """In frames on the subscription."""
    RAW = auto()
    """Over the data connection, or it waits for that."""
    ENDING = auto()
    """Likewise, and its end is known: not all of it has passed."""
    COMPLETE = auto()
    """All of it has passed, and its end."""


HALF_TRANSITIONS: TransitionTable[TunnelHalfState] = TransitionTable(
    {
        TunnelHalfState.FRAMED: {TunnelHalfState.RAW},
        TunnelHalfState.RAW: {TunnelHalfState.ENDING, TunnelHalfState.COMPLETE},
        TunnelHalfState.ENDING: {TunnelHalfState.COMPLETE},
        TunnelHalfState.COMPLETE: (),
    }
)
"""A half that ends in its frames never leaves them: it stays C{FRAMED} here."""
