"""
Data connections over Twisted's transports: what carries large bodies beside a subscription.

A L{DataPool} dials them where its subscription was dialled, and keeps a few that are idle.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IPushProducer, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from guest.core.data_connection import (
    ANSWER_TIME,
    IDLE_MOST,
    IDLE_TIME,
    BodyConnection,
    DataConnectionPool,
    GuestDataState,
)
from guest.core.files import FileBody
from guest.twisted.direct_writer import DirectWriter
from guest.twisted.runtime import twisted_runtime

__all__ = [
    "ANSWER_TIME",
    "IDLE_MOST",
    "IDLE_TIME",
    "DataPool",
    "GuestDataConnection",
    "GuestDataState",
]

PIECE = 262_144
"""Bytes that are given to the transport at once."""


@implementer(IPushProducer)
class GuestDataConnection(BodyConnection, Protocol):
    """One of them."""

    def __init__(self, pool: DataConnectionPool) -> None:
        super().__init__(pool)
        self._full = False
        self._room: Deferred[None] | None = None
        self._outlet: DirectWriter | None = None

    def connectionMade(self) -> None:
        """See C{IProtocol}."""
        self._transport().registerProducer(self, True)
        DirectWriter.widen(self._transport())

    def _transport(self) -> Any:
        return self.transport

    def dataReceived(self, data: bytes) -> None:
        """See C{IProtocol}."""
        self.data_came(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See C{IProtocol}."""
        self.connection_over()

    # What the core wants of a transport.

    def write(self, data: bytes) -> None:
        """See L{BodyConnection}."""
        self._transport().write(data)

    def pause_reading(self) -> None:
        """See L{BodyConnection}."""
        self._transport().pauseProducing()

    def resume_reading(self) -> None:
        """See L{BodyConnection}."""
        self._transport().resumeProducing()

    def close_transport(self) -> None:
        """See L{BodyConnection}."""
        self._transport().unregisterProducer()
        self._transport().loseConnection()

    def abort_transport(self) -> None:
        """See L{BodyConnection}."""
        self._transport().abortConnection()

    def stop_sending(self) -> None:
        """See L{BodyConnection}."""
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            outlet.close()
        if self.state is GuestDataState.CLOSED:
            self.resumeProducing()

    # A response's body.

    async def send(self, piece: bytes) -> bool:
        """Send some body; returns when there is room for more, with whether there ever will be."""
        outlet = await self._direct()
        if outlet is not None:
            return await outlet.send(piece)
        for start in range(0, len(piece), PIECE):
            if self.state is GuestDataState.CLOSED:
                return False
            self._transport().write(bytes(memoryview(piece)[start : start + PIECE]))
            if self._full:
                self._room = Deferred()
                await self._room
        return self.state is not GuestDataState.CLOSED

    async def send_file(self, body: FileBody) -> bool:
        """
        Send all of C{body}; likewise.

        @raise OSError: the file can't be read, or has become shorter.
        """
        outlet = await self._direct()
        if outlet is not None:
            return await outlet.send_file(body.file.fileno(), body.start, body.stop)
        for piece in body:
            if not await self.send(piece):
                return False
        return True

    def _is_closed(self) -> bool:
        return self.state is GuestDataState.CLOSED

    async def _direct(self) -> DirectWriter | None:
        """The socket itself, when all that was given to the transport has left; None if closed."""
        transport = self._transport()
        if self.state is GuestDataState.CLOSED or not DirectWriter.possible(transport):
            return None
        while not DirectWriter.written(transport):
            transport.producerPaused = True
            transport.startWriting()
            self._room = Deferred()
            await self._room
            if self._is_closed():
                return None
        if self._outlet is None:
            self._outlet = DirectWriter(transport)
        return self._outlet

    def pauseProducing(self) -> None:
        """See C{IPushProducer}."""
        self._full = True

    def resumeProducing(self) -> None:
        """See C{IPushProducer}."""
        self._full = False
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    def stopProducing(self) -> None:
        """See C{IPushProducer}; C{connectionLost} follows."""


class DataPool(DataConnectionPool):
    """
    Dials data connections at an endpoint.

    @param endpoint: where the subscription is dialled, too.
    @param clock: an L{IReactorTime}.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, clock: Any) -> None:
        super().__init__(twisted_runtime(clock))
        self.clock = clock
        self._endpoint = endpoint
        self._factory = _DataFactory(self)

    def sibling(self) -> DataConnectionPool:
        """See L{DataConnectionPool}."""
        return DataPool(self._endpoint, self.clock)

    async def dial(self) -> BodyConnection:
        """See L{DataConnectionPool}."""
        connection: Any = await self._endpoint.connect(self._factory)
        assert isinstance(connection, GuestDataConnection)
        return connection


class _DataFactory(Factory):
    noisy = False

    def __init__(self, pool: DataPool) -> None:
        self._pool = pool

    def buildProtocol(self, addr: IAddress | None) -> GuestDataConnection:
        return GuestDataConnection(self._pool)
