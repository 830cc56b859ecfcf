"""The states of a tunnel over a data connection, as a table."""

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
