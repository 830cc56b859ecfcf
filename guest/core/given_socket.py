"""A socket that was dialled here, and given to an event loop as C{sock=}."""

from __future__ import annotations

import socket
from typing import Any


def let_go(given: socket.socket, transport: Any) -> None:
    """
    Let go of C{given}, which C{transport} has, if the event loop does not.

    uvloop (0.23.0) lets go of it unless the transport is closed before it has returned that, as it
    is where the other side closes at once: then the number of the socket would be closed a second
    time, when it may be somebody else's.
    """
    if type(transport).__module__.partition(".")[0] == "uvloop" and transport.is_closing():
        given.detach()
