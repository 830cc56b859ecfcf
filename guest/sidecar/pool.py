"""The connections to the program that wait for a request."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import cast

from guest.sidecar.connection import ProgramConnection
from guest.sidecar.dialler import ProgramDialler

IDLE = 1.5
"""
Seconds for which an idle connection is used again. Programs close theirs after a while, and what is
sent at that moment is lost: gunicorn after 2 s, uvicorn and Node after 5.
"""


class _ProgramStream(asyncio.StreamReaderProtocol):
    """
    What a reader reads from, and a writer writes to.

    @ivar transport: of the connection.
    """

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport = cast("asyncio.Transport", transport)


class ConnectionPool:
    """
    Keeps connections, and makes new ones; what was used last is used first.

    @param idle: seconds for which an idle one is used again; less, if the program says that it
        closes earlier.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, dialler: ProgramDialler, idle: float = IDLE
    ) -> None:
        self._loop = loop
        self._dialler = dialler
        self._idle = idle
        self._waiting: OrderedDict[ProgramConnection, float] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many are idle."""
        return len(self._waiting)

    def take(self, careful: bool) -> ProgramConnection | None:
        """
        An idle connection.

        @param careful: look whether the program has closed it: the request can't go twice.
        @return: None if there is none.
        """
        now = self._loop.time()
        while self._waiting:
            connection, until = self._waiting.popitem()
            if now < until and (not careful or connection.usable()):
                return connection
            connection.abort()
        return None

    async def dial(self) -> ProgramConnection:
        """
        A fresh one.

        @raise OSError: the program can't be reached.
        """
        return await self._dialler.dial(
            self._loop, lambda: ProgramConnection(self._loop, self._gone)
        )

    async def dial_stream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """
        A fresh one on which the program speaks what it likes.

        @raise OSError: the program can't be reached.
        """
        loop, reader = self._loop, asyncio.StreamReader(loop=self._loop)
        made = await self._dialler.dial(loop, lambda: _ProgramStream(reader, loop=loop))
        return reader, asyncio.StreamWriter(made.transport, made, reader, loop)

    def give_back(self, connection: ProgramConnection) -> None:
        """It is idle now."""
        idle = self._idle
        limit = connection.idle_limit
        if limit is not None and limit <= idle:
            idle = limit / 2
        self._waiting[connection] = self._loop.time() + idle
        if self._timer is None:
            self._timer = self._loop.call_at(self._waiting[connection], self._sweep)

    def clear(self) -> None:
        """Close all that are idle."""
        while self._waiting:
            self._waiting.popitem()[0].abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self._timer = None
        now = self._loop.time()
        for connection in [each for each, until in self._waiting.items() if until <= now]:
            connection.abort()
        if self._waiting:
            self._timer = self._loop.call_at(min(self._waiting.values()), self._sweep)

    def _gone(self, connection: ProgramConnection) -> None:
        self._waiting.pop(connection, None)
