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
from guest.sidecar.tls_tunnel import ProgramTlsTunnel
from guest.sidecar.upgrades import TLS, upgrade_fields
from subproxy.wire.whole import WholeRequest


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
        if request.tunnel == TLS:
            return await self._pass_through(request)
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
        return await self._ask(request, head, whole)

    def whole_head(self, found: WholeRequest) -> bytes:
        """The head of a request that is all here."""
        _, method, target, headers, info, body = found
        return request_head(
            method,
            target,
            headers,
            authority=self._authority,
            host=self._host,
            size=len(body),
            trailers=info.get(b"trailers") is True,
        )

    async def go_on(
        self, request: Request, connection: ProgramConnection, head: bytes, whole: bytes
    ) -> Response:
        """
        As L{answer}, where the request has been written already.

        @param connection: an idle one, to which it was written.
        """
        return await self._ask(request, head, whole, connection)

    async def _ask(
        self,
        request: Request,
        head: bytes,
        whole: bytes | None,
        asked: ProgramConnection | None = None,
    ) -> Response:
        fresh = False
        while True:
            connection = asked or await self._connection(request.method, fresh)
            exchange = ProgramExchange(self._pool, connection, request)
            try:
                return await (exchange.ask(head, whole) if asked is None else exchange.answer())
            except ProgramGone as error:
                if not may_repeat(
                    request.method,
                    reused=connection.requests > 0,
                    written=connection.written,
                    answered=connection.answered,
                    body=not exchange.taken,
                ):
                    raise RequestFailed(str(error)) from None
                fresh, asked = True, None

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

    async def _pass_through(self, request: Request) -> Response:
        """Let the program have the TLS of a client."""
        try:
            reader, writer = await self._pool.dial_stream()
        except OSError as error:
            raise self._refused(error) from None
        return ProgramTlsTunnel(reader, writer, request).response()

    def idle_connection(self, method: bytes) -> ProgramConnection | None:
        """One that waits for a request; None if there is none."""
        return self._pool.take(careful=method not in IDEMPOTENT)

    def give_back(self, connection: ProgramConnection) -> None:
        """Its response has been taken, and all of the request was written."""
        if connection.finish(sent=True):
            self._pool.give_back(connection)

    async def _connection(self, method: bytes, fresh: bool) -> ProgramConnection:
        connection = None if fresh else self.idle_connection(method)
        if connection is not None:
            return connection
        try:
            return await self._pool.dial()
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> RequestRefused:
        self._unreachable(error)
        reason = error.strerror or str(error)
        return RequestRefused(f"the program can't be reached: {reason}")
