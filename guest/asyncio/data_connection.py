"""Data connections over asyncio's transports: what carries large bodies."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from guest.asyncio.address import ProxyAddress
from guest.asyncio.runtime import asyncio_runtime
from guest.core.data_connection import BodyConnection, DataConnectionPool, GuestDataState
from guest.core.direct_writer import RawSender, widen_socket
from guest.core.files import FileBody

PIECE = 262_144
"""Bytes that are given at once to a transport that has no socket."""


class AsyncioSender(RawSender):
    """The sending side of one transport's socket, on asyncio."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        super().__init__(os.dup(fd))
        self._loop = loop
        self._waiting: asyncio.Future[bool] | None = None

    async def _writable(self) -> bool:
        if self._fd < 0:
            return False
        self._waiting = waiting = self._loop.create_future()
        self._loop.add_writer(self._fd, self._tell, True)
        try:
            return bool(await waiting)
        finally:
            if self._waiting is waiting:
                self._stop()

    def _stop(self) -> asyncio.Future[bool] | None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._loop.remove_writer(self._fd)
        return waiting

    def _tell(self, writable: bool) -> None:
        waiting = self._stop()
        if waiting is not None and not waiting.done():
            waiting.set_result(writable)

    def close(self) -> None:
        """Give the descriptor back; whoever waits is told that the connection is gone."""
        self._tell(False)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class AsyncioDataConnection(BodyConnection, asyncio.Protocol):
    """One of them."""

    def __init__(self, pool: DataConnectionPool, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(pool)
        self._loop = loop
        self._full = False
        self._room: asyncio.Future[None] | None = None
        self._sender: AsyncioSender | None = None
        self._transport: Any = None
        self._socket: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See C{asyncio.BaseProtocol}."""
        self._transport = transport
        # Nothing may wait in the transport when its socket is written directly.
        self._transport.set_write_buffer_limits(0)
        self._socket = transport.get_extra_info("socket")
        if self._socket is not None:
            widen_socket(self._socket)

    def data_received(self, data: bytes) -> None:
        """See C{asyncio.Protocol}."""
        self.data_came(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """See C{asyncio.BaseProtocol}."""
        self.connection_over()

    def pause_writing(self) -> None:
        """See C{asyncio.BaseProtocol}."""
        self._full = True

    def resume_writing(self) -> None:
        """See C{asyncio.BaseProtocol}."""
        self._full = False
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    # What the core wants of a transport.

    def write(self, data: bytes) -> None:
        """See L{BodyConnection}."""
        self._transport.write(data)

    def pause_reading(self) -> None:
        """See L{BodyConnection}."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See L{BodyConnection}."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def close_transport(self) -> None:
        """See L{BodyConnection}."""
        self._transport.close()

    def abort_transport(self) -> None:
        """See L{BodyConnection}."""
        self._transport.abort()

    def stop_sending(self) -> None:
        """See L{BodyConnection}."""
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()
        if self.state is GuestDataState.CLOSED:
            self.resume_writing()

    async def send(self, piece: bytes) -> bool:
        """See L{BodyConnection}."""
        if not await self._written():
            return False
        sender = self._direct()
        if sender is not None:
            return await sender.send(piece)
        for start in range(0, len(piece), PIECE):
            self._transport.write(bytes(memoryview(piece)[start : start + PIECE]))
            if not await self._written():
                return False
        return True

    async def send_file(self, body: FileBody) -> bool:
        """See L{BodyConnection}."""
        if not await self._written():
            return False
        sender = self._direct()
        if sender is not None:
            return await sender.send_file(body.file.fileno(), body.start, body.stop)
        for piece in body:
            if not await self.send(piece):
                return False
        return True

    async def _written(self) -> bool:
        """Wait until all that was given to the transport has left; False if it is closed."""
        while self._full and not self._is_closed():
            self._room = self._loop.create_future()
            await self._room
        return not self._is_closed()

    def _direct(self) -> AsyncioSender | None:
        """The socket itself; None where there is none."""
        if self._sender is None and self._socket is not None:
            self._sender = AsyncioSender(self._loop, self._socket.fileno())
        return self._sender

    def _is_closed(self) -> bool:
        return self.state is GuestDataState.CLOSED


class AsyncioDataPool(DataConnectionPool):
    """Dials data connections where the subscription is dialled, too."""

    def __init__(self, address: ProxyAddress, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(asyncio_runtime(loop))
        self._address = address
        self._loop = loop

    def sibling(self) -> DataConnectionPool:
        """See L{DataConnectionPool}."""
        return AsyncioDataPool(self._address, self._loop)

    async def dial(self) -> BodyConnection:
        """See L{DataConnectionPool}."""
        return await self._address.connect(lambda: AsyncioDataConnection(self, self._loop))
