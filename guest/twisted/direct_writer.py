"""A transport's socket, written without the transport, on Twisted's reactors."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from guest.core.direct_writer import RawSender, widen_socket


@implementer(IWriteDescriptor)
class DirectWriter(RawSender):
    """The sending side of one transport's socket."""

    def __init__(self, transport: Any) -> None:
        super().__init__(os.dup(transport.fileno()))
        self._reactor = transport.reactor
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
            widen_socket(transport.getHandle())

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
