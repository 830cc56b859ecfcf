"""
A transport's socket, written without the transport: large pieces without a copy, and files.

Only while nothing waits in the transport. It has a descriptor of its own, so that a
reactor can tell both apart.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

BUFFER = 1 << 20
"""Bytes that the socket's buffer should hold; the system may allow less."""

AT_ONCE = 1 << 20
"""Bytes that are offered to the kernel at once."""


@implementer(IWriteDescriptor)
class DirectWriter:
    """The sending side of one transport's socket."""

    def __init__(self, transport: Any) -> None:
        self._reactor = transport.reactor
        self._fd = os.dup(transport.fileno())
        self._waiting: Deferred[bool] | None = None

    @staticmethod
    def possible(transport: Any) -> bool:
        """Whether C{transport} is a plain stream socket."""
        return (
            isinstance(transport, tcp.Connection)
            and not getattr(transport, "TLS", False)
            and hasattr(os, "sendfile")
        )

    @staticmethod
    def written(transport: Any) -> bool:
        """Whether nothing waits in C{transport}."""
        flushed = getattr(transport, "flushed", None)
        if flushed is not None:
            return bool(flushed)
        return not transport._tempDataBuffer and transport.offset == len(transport.dataBuffer)

    @staticmethod
    def widen(transport: Any) -> None:
        """Let the kernel hold more between us and the proxy: fewer turns for a body."""
        if DirectWriter.possible(transport):
            try:
                transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            except OSError:
                pass

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

    async def _writable(self) -> bool:
        if self._fd < 0:
            return False
        waiting: Deferred[bool] = Deferred()
        self._waiting = waiting
        self._reactor.addWriter(self)
        try:
            return await waiting
        finally:
            if self._waiting is waiting:
                self._stop()

    def _stop(self) -> Deferred[bool] | None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._reactor.removeWriter(self)
        return waiting

    # IWriteDescriptor.

    def fileno(self) -> int:
        """See C{IFileDescriptor}."""
        return self._fd

    def logPrefix(self) -> str:
        """See C{ILoggingContext}."""
        return "outlet"

    def doWrite(self) -> None:
        """See C{IWriteDescriptor}."""
        waiting = self._stop()
        if waiting is not None:
            waiting.callback(True)

    def connectionLost(self, reason: Failure) -> None:
        """
        See C{IFileDescriptor}.

        An event may be meant for the former owner of our number: the next write tells.
        """
        self.doWrite()

    def close(self) -> None:
        """Give the descriptor back; whoever waits is told that the connection is gone."""
        waiting = self._stop()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if waiting is not None:
            waiting.callback(False)
