"""The states of a connection over TLS, as tables: what comes of what the client sends, and when."""

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


@fast_enum
class TlsReadingState(Enum):
    """When what has come is decrypted, once the connection is open."""

    FLOWING = auto()
    """As it comes."""
    PAUSED = auto()
    """Not now: what speaks HTTP takes nothing."""
    DUE = auto()
    """In a turn of its own, which will come: it waited while nothing was taken."""
    HELD = auto()
    """Not now; the turn that was due comes all the same, and finds nothing to do."""


READING_TRANSITIONS: TransitionTable[TlsReadingState] = TransitionTable(
    {
        TlsReadingState.FLOWING: {TlsReadingState.PAUSED, TlsReadingState.DUE},
        TlsReadingState.PAUSED: {TlsReadingState.FLOWING, TlsReadingState.DUE},
        TlsReadingState.DUE: {TlsReadingState.FLOWING, TlsReadingState.HELD},
        TlsReadingState.HELD: {TlsReadingState.PAUSED, TlsReadingState.DUE},
    }
)
