"""Requests of the proxy, passed on to a program that speaks HTTP/1.1."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from guest.core.errors import RequestFailed, RequestRefused
from guest.core.request import Request
from guest.core.response import Response
from guest.sidecar.connection import ProgramConnection, ProgramGone
from guest.sidecar.exchange import ProgramExchange
from guest.sidecar.fields import request_head
from guest.sidecar.pool import ConnectionPool
from guest.sidecar.retry import IDEMPOTENT, may_repeat
from guest.sidecar.upgrades import upgrade_fields


class ProgramBridge:
    """
    An application that asks a program.

    @param pool: of connections to it.
    @param authority: C{Host} for clients that sent none.
    @param host: C{Host} in the place of the client's; None: the client's.
    @param unreachable: called when the program can't be dialled.
    @param upgrade_timeout: seconds that the answer to an upgrade may take.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        authority: bytes,
        host: bytes | None,
        unreachable: Callable[[OSError], object],
        upgrade_timeout: float,
    ) -> None:
        self._pool = pool
        self._authority = authority
        self._host = host
        self._unreachable = unreachable
        self._upgrade_timeout = upgrade_timeout

    async def answer(self, request: Request) -> Response:
        """
        The program's answer, with a body that comes as it is taken.

        @raise RequestRefused: the program can't be reached: nobody has seen the request.
        @raise RequestFailed: it gave no answer, or none that can be passed on.
        """
        if request.tunnel is not None:
            return await self._upgrade(request, request.tunnel)
        whole = request.body.whole
        head = request_head(
            request.method,
            request.target,
            request.headers,
            authority=self._authority,
            host=self._host,
            streamed=whole is None,
            size=len(whole or b""),
            expect=whole is None and request.expects,
            trailers=request.takes_trailers,
        )
        fresh = False
        while True:
            connection = await self._connection(request.method, fresh)
            exchange = ProgramExchange(self._pool, connection, request)
            try:
                return await exchange.ask(head, whole)
            except ProgramGone as error:
                if not may_repeat(
                    request.method,
                    reused=connection.requests > 0,
                    written=connection.written,
                    answered=connection.answered,
                    body=not exchange.taken,
                ):
                    raise RequestFailed(str(error)) from None
                fresh = True

    async def _upgrade(self, request: Request, protocol: bytes) -> Response:
        """Ask for another protocol, on a connection of its own; the answer may be one like any."""
        head = request_head(
            request.method,
            request.target,
            upgrade_fields(protocol, request.headers),
            authority=self._authority,
            host=self._host,
            upgrade=protocol,
        )
        connection = await self._connection(request.method, fresh=True)
        exchange = ProgramExchange(self._pool, connection, request)
        try:
            return await asyncio.wait_for(exchange.ask(head, b""), self._upgrade_timeout)
        except asyncio.TimeoutError:
            text = f"no answer to an upgrade within {self._upgrade_timeout:g} s"
            raise RequestFailed(text) from None
        except ProgramGone as error:
            raise RequestFailed(str(error)) from None

    async def _connection(self, method: bytes, fresh: bool) -> ProgramConnection:
        connection = None if fresh else self._pool.take(careful=method not in IDEMPOTENT)
        if connection is not None:
            return connection
        try:
            return await self._pool.dial()
        except OSError as error:
            self._unreachable(error)
            reason = error.strerror or str(error)
            raise RequestRefused(f"the program can't be reached: {reason}") from None
