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


UNSENT = 131_072
"""
Bytes that may wait in the transport of a data connection before its producer is paused: more than
are received at once, so that not each piece is followed by a pause.
"""


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
    Let more of what is sent on C{transport} be held: fewer turns for a large body.

    By the kernel: for unix sockets; the buffers of TCP grow by themselves, and those of vsock have
    a size of their own. And by the transport, where the kernel does not take it.
    """
    transport.bufferSize = UNSENT
    if can_lend(transport):
        try:
            transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        except OSError:
            pass


def read_at_most(transport: Any, size: int) -> None:
    """
    Let C{transport} read C{size} bytes at once, where its peer sends as fast as they are read.

    Of the ring's transports; others have a size of their own.
    """
    if hasattr(transport, "read_size"):
        transport.read_size = size


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


class SendingLease:
    """
    The lease of one transport's writing side, and who waits for it.

    The streaming producer of the transport tells it of each C{resumeProducing}.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: Callable[[int], None] | None = None

    def lend(self, transport: Any, then: Callable[[int], None]) -> None:
        """Give C{then} the descriptor when all that was written has left, now or later."""
        if is_flushed(transport):
            then(transport.fileno())
        else:
            self._waiting = then
            notify_when_flushed(transport)

    def resumed(self, transport: Any) -> None:
        """
        The transport takes more: whoever waits has the descriptor, if all has left.

        Else what told this has written again, and less than a producer is paused for: the transport
        is to tell of that, too.
        """
        waiting = self._waiting
        if waiting is None:
            return
        if is_flushed(transport):
            self._waiting = None
            waiting(transport.fileno())
        else:
            notify_when_flushed(transport)

    def void(self) -> None:
        """The connection is over: who waits waits for nothing."""
        self._waiting = None
