"""
How a connection ends without a request lost: a table, and no more.

A GOAWAY, whatever number it has, makes python's h2, and so httpx, drop what is under way; and one
that covers a request under way makes undici, Java's client and curl fail it. So none is sent while
a stream is open, unless that takes too long, nor at once when none is: who asks many things at once
sends the next request when it has an answer, and that is on its way. The first one covers all,
because requests may be on their way all the same; the second has the number of the last one, and
then the connection closes.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable

QUIET_FOR: Final = 0.1
"""Seconds in which nothing must have been under way before the client is told."""

QUIET_LIMIT: Final = 3.0
"""Seconds that an end waits for that, where somebody waits for the end."""

LONG_QUIET_LIMIT: Final = 30.0
"""Likewise where nobody does: the client has asked as often as it may."""

HEARD_LIMIT: Final = 1.0
"""Seconds that a client has to say that it knows."""


@fast_enum
class Ending(Enum):
    """How far a connection is with its end."""

    STAYS = auto()
    """It stays."""
    QUIETENS = auto()
    """It is to end; the client is told when nothing has been under way for a moment."""
    TOLD = auto()
    """The client was told, and asked whether it has heard."""
    HEARD = auto()
    """It has: what it sent before is here, and behind that the connection closes."""


ENDINGS: TransitionTable[Ending] = TransitionTable(
    {
        Ending.STAYS: {Ending.QUIETENS},
        Ending.QUIETENS: {Ending.TOLD},
        Ending.TOLD: {Ending.HEARD},
        Ending.HEARD: (),
    }
)
