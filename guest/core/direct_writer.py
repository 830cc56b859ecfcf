"""
A transport's socket, written without the transport: large pieces without a copy, and files.

Only while nothing waits in the transport. It has a descriptor of its own, so that an event loop
can tell both apart. Imports no framework.
"""

from __future__ import annotations

import os
import socket
from abc import ABC, abstractmethod

BUFFER = 1 << 20
"""Bytes that the socket's buffer should hold; the system may allow less."""

AT_ONCE = 1 << 20
"""Bytes that are offered to the kernel at once."""


class RawSender(ABC):
    """The sending side of one socket, which does not block; a shell waits for room."""

    def __init__(self, fd: int) -> None:
        """Take a descriptor, which is this object's from now on."""
        self._fd = fd

    @abstractmethod
    async def _writable(self) -> bool:
        """Wait until the socket takes more; False if the connection is gone."""

    async def send(self, piece: bytes) -> bool:
        """Send C{piece}; False if the connection is gone."""
        view = memoryview(piece)
        at = 0
        while at < len(piece):
            try:
                at += os.write(self._fd, view[at : at + AT_ONCE])
            except BlockingIOError:
                if not await self._writable():
                    return False
            except OSError:
                return False
        return True

    async def send_file(self, file: int, start: int, stop: int) -> bool:
        """
        Send that part of a file; False if the connection is gone.

        @raise OSError: the file has become shorter.
        """
        at = start
        while at < stop:
            try:
                sent = os.sendfile(self._fd, file, at, min(AT_ONCE, stop - at))
            except BlockingIOError:
                if not await self._writable():
                    return False
                continue
            except OSError:
                return False
            if not sent:
                raise OSError("the file has become shorter")
            at += sent
        return True


def widen_socket(handle: socket.socket) -> None:
    """Let the kernel hold more between us and the proxy: fewer turns for a body."""
    try:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    except OSError:
        pass
