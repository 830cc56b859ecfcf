"""The states of a client's connection, as a table: what becomes of the bytes that come in."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable


@fast_enum
class ConnectionState(Enum):
    """What becomes of the bytes that come in."""

    IDLE = auto()
    """They begin a request."""
    HEAD = auto()
    """They go on with a head of which some is held."""
    COLLECTING = auto()
    """They belong to a body that is collected before its request is dispatched."""
    STREAMING = auto()
    """They belong to a body that goes on as it comes."""
    ANSWERING = auto()
    """They belong to later requests, and are held: a whole request is being answered."""
    TUNNEL = auto()
    """They are for the guest, whatever they mean."""
    TUNNEL_SHUT = auto()
    """Likewise, and nothing more is sent to the client: the guest's half has ended."""
    LINGERING = auto()
    """They are thrown away: the last answer has been written, and should arrive."""
    OVER = auto()
    """Incoming bytes are dropped: the connection is over."""


TRANSITIONS: TransitionTable[ConnectionState] = TransitionTable(
    {
        ConnectionState.IDLE: frozenset(ConnectionState) - {ConnectionState.IDLE},
        ConnectionState.HEAD: frozenset(ConnectionState)
        - {ConnectionState.IDLE, ConnectionState.HEAD},
        ConnectionState.COLLECTING: frozenset(
            {ConnectionState.ANSWERING, ConnectionState.LINGERING, ConnectionState.OVER}
        ),
        ConnectionState.STREAMING: frozenset(
            {ConnectionState.ANSWERING, ConnectionState.LINGERING, ConnectionState.OVER}
        ),
        ConnectionState.ANSWERING: frozenset(
            {
                ConnectionState.IDLE,
                ConnectionState.TUNNEL,
                ConnectionState.LINGERING,
                ConnectionState.OVER,
            }
        ),
        ConnectionState.TUNNEL: frozenset(
            {ConnectionState.TUNNEL_SHUT, ConnectionState.LINGERING, ConnectionState.OVER}
        ),
        ConnectionState.TUNNEL_SHUT: frozenset({ConnectionState.OVER}),
        ConnectionState.LINGERING: frozenset({ConnectionState.OVER}),
        ConnectionState.OVER: frozenset({ConnectionState.OVER}),
    }
)

IN_TUNNEL: Final = frozenset({ConnectionState.TUNNEL, ConnectionState.TUNNEL_SHUT})
"""There is no HTTP any more."""

LISTENING: Final = frozenset({ConnectionState.ANSWERING, *IN_TUNNEL})
"""The client is expected to say nothing that must come; one that is not read from is looked at."""

SHUT: Final = frozenset({ConnectionState.TUNNEL_SHUT, ConnectionState.LINGERING})
"""Our half of the connection has ended, or does when what was written has left."""
