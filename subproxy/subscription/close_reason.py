"""Why the proxy closes a connection of a guest, and how."""

from __future__ import annotations

from enum import Enum, auto

from subproxy.core.fast_enum import fast_enum


@fast_enum
class GuestCloseReason(Enum):
    """Why a transport is closed; what a guest is told in C{bye} is another matter."""

    NOT_ADMITTED = auto()
    """Its identity has too many connections, or opens them too often."""
    BYE_SAID = auto()
    """The guest has said C{bye}."""
    BYE_UNANSWERED = auto()
    """We have, and it did not close in time."""
    TALKS_AFTER_BYE = auto()
    """We have, and it sends more than is thrown away."""
    OVERDRAWN = auto()
    """More is held of its virtual machine, or for it, than may be."""
    BAD_TOKEN = auto()
    """A data connection: it claims a token that is not good."""
    NOT_NEEDED = auto()
    """A data connection: the body that it would carry needs it no more."""
    PROTOCOL = auto()
    """A data connection: it broke the protocol, or sends more than a C{connect} out of turn."""
    IDLE = auto()
    """A data connection: nothing was claimed on it for too long."""
    EXCHANGE_OVER = auto()
    """A data connection: its exchange is over before its body is."""
    BROKE = auto()
    """A data connection: the relay has found that it is broken."""
    SHUTDOWN = auto()
    """A data connection: all connections are closed."""

    @property
    def orderly(self) -> bool:
        """What was written is still sent; else the connection is reset."""
        return self in (GuestCloseReason.NOT_ADMITTED, GuestCloseReason.BYE_SAID)
