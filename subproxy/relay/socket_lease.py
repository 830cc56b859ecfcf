"""
The lease of a transport's descriptor to a relay, which uses it beside the transport for a while.

A transport may lend it when it has nothing under way. One that lends its reading side has stopped
reading, and has delivered what it had read. One that lends its writing side has written all that
it was given. Twisted's own stream transports do their system calls when told that they can. Those
of the ring have them under way, and say when they have ended.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp

from subproxy.relay.splice import POSSIBLE

BUFFER = 512 * 1024
"""Bytes that a data connection's socket should hold of what is sent; Linux takes twice that."""


def can_lend(transport: Any) -> bool:
    """Whether C{transport} is a plain stream socket: no TLS, nothing made up."""
    return (
        POSSIBLE
        and isinstance(transport, tcp.Connection)
        and not getattr(transport, "TLS", False)
        and bool(transport.connected)
    )


def grow_send_buffer(transport: Any) -> None:
    """
    Let the kernel hold more of what is sent on C{transport}: fewer turns for a large body.

    For unix sockets; the buffers of TCP grow by themselves, and those of vsock have a size of
    their own.
    """
    if can_lend(transport):
        try:
            transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        except OSError:
            pass


def lend_reading(transport: Any, then: Callable[[bytes], None]) -> None:
    """
    Stop reading; then call C{then}, now or later, with what was read already.

    C{transport.resumeProducing} ends it.
    """
    transport.pauseProducing()
    when_quiet = getattr(transport, "when_receive_stopped", None)
    if when_quiet is None:
        then(b"")
    else:
        when_quiet(then)


def is_flushed(transport: Any) -> bool:
    """Tell whether all that was written to C{transport} has gone to the kernel."""
    flushed = getattr(transport, "flushed", None)
    if flushed is not None:
        return bool(flushed)
    return not transport._tempDataBuffer and transport.offset == len(transport.dataBuffer)


def notify_when_flushed(transport: Any) -> None:
    """Have the streaming producer of C{transport} resumed when all is written, once."""
    transport.producerPaused = True
    transport.startWriting()
