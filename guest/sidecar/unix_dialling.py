"""
Dials a unix socket, whatever the event loop is.

Where the backlog of who listens is full, asyncio's loop takes a socket for connected, and uvloop
fails; nor does uvloop dial abstract sockets. So the socket is connected here.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from typing import TypeVar

from guest.core.given_socket import let_go

FIRST_PAUSE = 0.001
"""Seconds until a socket whose backlog is full is dialled again..."""

LAST_PAUSE = 0.05
"""... and the most of them: each pause is twice as long as the one before."""

P = TypeVar("P", bound=asyncio.BaseProtocol)


async def dial_unix(loop: asyncio.AbstractEventLoop, factory: Callable[[], P], path: str) -> P:
    """
    Dial C{path}, and wait while its backlog is full.

    Linux tells nobody when there is room again (connect(2), EAGAIN): it is asked from time to time,
    for as long as the caller waits.

    @param path: begins with NUL if it is of an abstract socket.
    @return: the protocol that C{factory} has made.
    @raise OSError: nobody listens there.
    """
    dialling = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        dialling.setblocking(False)
        pause = FIRST_PAUSE
        while (number := dialling.connect_ex(path)) == errno.EAGAIN:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)
        if number:
            raise OSError(number, os.strerror(number))
        transport, protocol = await loop.create_unix_connection(factory, sock=dialling)
        let_go(dialling, transport)
        return protocol
    except BaseException:
        dialling.close()
        raise
