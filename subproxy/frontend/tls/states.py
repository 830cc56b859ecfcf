"""The states of a connection over TLS, as a table: what becomes of what the client sends."""

from __future__ import annotations

from enum import Enum, auto

from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable


@fast_enum
class TlsState(Enum):
    """What becomes of what the client sends."""

    HANDSHAKE = auto()
    """It is the handshake."""
    OPEN = auto()
    """It is decrypted, and given to what speaks HTTP."""
    HALF_CLOSED = auto()
    """It is dropped: the client has said that it sends no more (close_notify)."""
    LINGERING = auto()
    """It is dropped: we have said so, and wait for the client to have read it."""
    OVER = auto()
    """It is dropped: the connection is over."""


TLS_TRANSITIONS: TransitionTable[TlsState] = TransitionTable(
    {
        TlsState.HANDSHAKE: {TlsState.OPEN, TlsState.OVER},
        TlsState.OPEN: {TlsState.HALF_CLOSED, TlsState.LINGERING, TlsState.OVER},
        TlsState.HALF_CLOSED: {TlsState.OVER},
        TlsState.LINGERING: {TlsState.OVER},
        TlsState.OVER: {TlsState.OVER},
    }
)
