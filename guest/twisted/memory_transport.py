"""A transport of L{guest.testing}: no socket, and nothing is delivered by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import ITransport
from zope.interface import implementer


@implementer(ITransport)
class MemoryTransport:
    """
    One end of a connection that is two lists.

    @ivar disconnecting: whether C{loseConnection} was called.
    @ivar paused: whether the protocol wants to read nothing now.
    @ivar written: what waits to be delivered.
    """

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.written: list[bytes] = []
        self.producer: Any = None
        self.paused = False
        self.disconnecting = False
        self.aborted = False
        self.lost = False

    def write(self, data: bytes) -> None:
        """To be delivered."""
        if not self.disconnecting and not self.lost:
            self.written.append(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """As C{write}."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close, when all that was written has been delivered."""
        self.disconnecting = True

    def abortConnection(self) -> None:
        """Close at once."""
        self.disconnecting = self.aborted = True
        self.written.clear()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Remember it; L{MemoryProxy.choke} pauses it."""
        self.producer = producer

    def unregisterProducer(self) -> None:
        """Forget it."""
        self.producer = None

    def pauseProducing(self) -> None:
        """Deliver nothing to our protocol."""
        self.paused = True

    def resumeProducing(self) -> None:
        """Deliver again."""
        self.paused = False

    def getPeer(self) -> Any:
        """Nobody in particular."""
        return "memory"

    def getHost(self) -> Any:
        """Nowhere in particular."""
        return "memory"
