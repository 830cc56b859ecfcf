"""How a client's connection is closed, by the reason: a table."""

from __future__ import annotations

from enum import Enum, auto

from subproxy.core.fast_enum import fast_enum
from subproxy.telemetry.close_reason import CloseReason


@fast_enum
class CloseManner(Enum):
    """What becomes of the bytes that are under way."""

    RESET = auto()
    """Nothing more is sent: the client sees a reset."""
    FLUSH = auto()
    """What was written is sent, then the connection closes."""
    LINGER = auto()
    """
    What was written is sent, then the proxy's half closes; a client that may still be sending is
    read for a while: data that arrives at a closed socket would make the kernel reset the
    connection, and the client lose its answer.
    """


MANNERS: dict[CloseReason, CloseManner] = {
    CloseReason.CLIENT_CLOSED: CloseManner.RESET,
    CloseReason.CLIENT_DONE: CloseManner.FLUSH,
    CloseReason.CLIENT_LEFT: CloseManner.RESET,
    CloseReason.CLIENT_RESET: CloseManner.RESET,
    CloseReason.SOCKET_BROKE: CloseManner.RESET,
    CloseReason.SLOW_READER: CloseManner.RESET,
    CloseReason.ANSWER_UNTAKEN: CloseManner.RESET,
    CloseReason.EARLY_DATA: CloseManner.RESET,
    CloseReason.TUNNEL_IDLE: CloseManner.FLUSH,
    CloseReason.TRUNCATED: CloseManner.RESET,
    CloseReason.LAST_ANSWER: CloseManner.LINGER,
    CloseReason.LINGER_TIMEOUT: CloseManner.RESET,
    CloseReason.KEEPALIVE_TIMEOUT: CloseManner.FLUSH,
    CloseReason.PROXY_HEADER: CloseManner.RESET,
    CloseReason.TLS_HANDSHAKE: CloseManner.FLUSH,
    CloseReason.HTTP2_ERROR: CloseManner.LINGER,
    CloseReason.TOO_MANY: CloseManner.RESET,
    CloseReason.DRAINING: CloseManner.FLUSH,
    CloseReason.SHUTDOWN: CloseManner.RESET,
}
