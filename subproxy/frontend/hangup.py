"""
Has the peer of a connection closed it, though nobody reads it?

A connection that is not read from is not heard leaving: a pipelining client is held back, a body
waits for its guest, a socket is lent. C{poll} tells, without taking a byte, that a FIN has
come, also behind bytes that are still unread; and that all is over. It works for TCP and UNIX
sockets, and below TLS.
"""

from __future__ import annotations

import select
from enum import Enum, auto

_FIN = getattr(select, "POLLRDHUP", 0)
_OVER = select.POLLHUP | select.POLLERR


class Hangup(Enum):
    """What the peer has closed."""

    NONE = auto()
    """Nothing, as far as is known."""
    FIN = auto()
    """Its half: it sends no more."""
    RESET = auto()
    """The connection."""


def hangup(transport: object) -> Hangup:
    """Look at the socket of C{transport}: one system call. What has no socket tells nothing."""
    fileno = getattr(transport, "fileno", None)
    descriptor = -1 if fileno is None else fileno()
    if descriptor < 0:
        return Hangup.NONE
    poller = select.poll()
    poller.register(descriptor, _FIN)
    for _, events in poller.poll(0):
        if events & _OVER:
            return Hangup.RESET
        if events & _FIN:
            return Hangup.FIN
    return Hangup.NONE
