"""
How much the kernel keeps for a client beyond what it has sent to it.

A send buffer grows to megabytes, and fills for whoever takes a body slowly. What is not even on
its way needs not be there: C{TCP_NOTSENT_LOWAT} bounds that alone, so that what is in flight may
still be as much as the path needs.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

_log = Logger()


def limit_unsent(port: IListeningPort, size: int) -> None:
    """
    Bound what waits for each client that connects to C{port} from now on.

    Connections inherit it: that costs none of them a system call. Does nothing for what is not
    TCP.

    @param size: bytes; 0 leaves it to the system (C{net.ipv4.tcp_notsent_lowat}).
    """
    listening: Any = getattr(port, "socket", None)
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is None or getattr(listening, "family", None) not in (
        socket.AF_INET,
        socket.AF_INET6,
    ):
        return
    try:
        listening.setsockopt(socket.IPPROTO_TCP, option, min(size, 2**31 - 1))
    except OSError as error:
        _log.warn("what waits for a client is not bounded: {error}", error=error)
