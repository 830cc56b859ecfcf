"""The socket layer of C{AF_VSOCK}, with what CPython gets wrong there put right.

CPython takes only integer socket options on a socket of that family, each as 64
bits; Twisted sets C{SO_LINGER} as bytes when it aborts a connection, which
raises C{TypeError} and leaves the socket open. So a socket that is bound,
listening or connected is wrapped anew as if it were of C{AF_UNIX} (C{reclaim}):
then options work as everywhere, C{accept} makes more such sockets, and peer
names still decode as (cid, port), for that goes by the name itself.
"""

from __future__ import annotations

import os
import socket

__all__ = ["AF_VSOCK", "has_native_vsock", "listening", "opened", "reclaim"]

AF_VSOCK = int(getattr(socket, "AF_VSOCK", 40))
BUFFER_SIZE = 0
BUFFER_MAX_SIZE = 2


def has_native_vsock(dev: str = "/dev") -> bool:
    """Whether this machine can have native vsock peers: as a host, or as a guest."""
    return any(os.path.exists(os.path.join(dev, name)) for name in ("vhost-vsock", "vsock"))


def opened(bufferSize: int | None = None) -> socket.socket:
    """A new non-blocking stream socket, its receive buffer sized in bytes if that is asked for.

    The kernel's default and maximum are 256 KiB: the maximum is raised first.
    What is set before C{listen} holds for accepted connections too.
    """
    skt = socket.socket(AF_VSOCK, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if bufferSize is not None:
            skt.setsockopt(AF_VSOCK, BUFFER_MAX_SIZE, bufferSize)
            skt.setsockopt(AF_VSOCK, BUFFER_SIZE, bufferSize)
    except BaseException:
        skt.close()
        raise
    return skt


def listening(cid: int, port: int, backlog: int, bufferSize: int | None = None) -> socket.socket:
    """A listening socket on (cid, port), already reclaimed. Raises C{OSError}."""
    skt = opened(bufferSize)
    try:
        skt.bind((cid, port))
        skt.listen(backlog)
    except BaseException:
        skt.close()
        raise
    return reclaim(skt)


def reclaim(skt: socket.socket) -> socket.socket:
    """The same descriptor in a socket object that takes options of any type.

    Its C{family} then says C{AF_UNIX}. The old object is left without a descriptor.
    """
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=skt.detach())
