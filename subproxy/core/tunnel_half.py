"""One half of a tunnel that may leave its frames for a data connection: its states, as a table."""

from __future__ import annotations

from enum import Enum, auto

from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable


@fast_enum
class TunnelHalfState(Enum):
    """Where one half of a tunnel passes."""

    FRAMED = auto()
    """In frames, among those of other exchanges."""
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
