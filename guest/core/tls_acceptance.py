"""
TLS that the proxy passes through, ended in the guest: what an application says to its client.

The keys are the guest's; the proxy sees records. Imports no framework.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final

from guest.core.errors import RequestAborted
from guest.core.request import Request
from guest.core.response import Response
from guest.core.runtime import Runtime
from guest.core.tunnel import Acceptance, TunnelConnection

HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds that a client has for its handshake."""

_PIECE: Final = 65536
"""Bytes that are encrypted, or decrypted, before others have their turn."""


class TlsTunnel(AsyncIterator[bytes]):
    """
    What a client and an application say to each other over TLS, when the handshake is done.

    C{async for piece in connection} gives what the client sends, as it comes: how it is cut means
    nothing. It ends when the client says that it sends no more.

    @ivar request: what the proxy tells of the connection: C{request.tls.sni} and C{request.client}.
    @ivar tls: the state of TLS: what was agreed upon, and the client's certificate.
    """

    __slots__ = ("_in", "_out", "_tunnel", "request", "tls")

    def __init__(self, tunnel: TunnelConnection, context: ssl.SSLContext) -> None:
        """Take C{tunnel}, as a server; L{handshake} comes first."""
        self.request: Request = tunnel.request
        self._tunnel = tunnel
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_side=True)

    async def handshake(self) -> None:
        """
        Agree with the client.

        @raise ssl.SSLError: there is nothing to agree upon; the client is told.
        @raise RequestAborted: the client is gone.
        """
        try:
            while True:
                try:
                    self.tls.do_handshake()
                    return
                except ssl.SSLWantReadError:
                    await self._flush()
                    if not await self._fill():
                        raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the client stopped") from None
        finally:
            await self._flush()

    async def receive(self) -> bytes | None:
        """
        What the client sends next; None when it sends no more.

        @raise ssl.SSLError: it is no TLS.
        @raise RequestAborted: the client is gone; or has stopped without having said so, and what
            it was sending may be cut short.
        """
        while True:
            try:
                data = self.tls.read(_PIECE)
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    raise RequestAborted("client", "its TLS ends without close_notify") from None
            except ssl.SSLZeroReturnError:
                return None
            else:
                return data or None

    async def __anext__(self) -> bytes:
        """See L{receive}."""
        piece = await self.receive()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def send(self, data: bytes) -> None:
        """
        Send C{data}; returns when there is room for the next.

        @raise RequestAborted: the client is gone.
        """
        for at in range(0, len(data), _PIECE):
            self.tls.write(memoryview(data)[at : at + _PIECE])
            await self._flush()

    async def close(self) -> None:
        """Say that we send no more."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass  # it wants to hear the same of the client, which nobody waits for
        await self._flush()

    async def _fill(self) -> bool:
        """
        Wait for more; whether there is.

        libssl is not told that there is none: that of Debian 12's Python 3.11.2 would take it for
        an end that the client has said (gh-95494).
        """
        piece = await self._tunnel.receive()
        if piece is not None:
            self._in.write(piece)
        return piece is not None

    async def _flush(self) -> None:
        if self._out.pending:
            await self._tunnel.send(self._out.read())


class TlsAcceptance(Acceptance):
    """
    Takes TLS that is passed through, ends it, and has a coroutine function serve what is inside.

    When that returns, we say that we send no more (C{close_notify}). If it raises, or if the
    handshake fails, the connection ends.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        serve: Callable[[TlsTunnel], Awaitable[None]],
        *,
        timeout: float = HANDSHAKE_TIMEOUT,
        bulk: bool = False,
    ) -> None:
        """
        Take it.

        @param context: a server's, with its certificate and its key.
        @param timeout: seconds that the handshake may take.
        @param bulk: much will pass: let it have a connection of its own from the start, where the
            proxy has such.
        """
        self._context = context
        self._serve = serve
        self._timeout = timeout
        self._bulk = bulk

    def begin(
        self, runtime: Runtime, connection: TunnelConnection
    ) -> tuple[Response, Callable[[], Coroutine[Any, Any, None]]]:
        """See L{Acceptance}."""

        async def run() -> None:
            tls = TlsTunnel(connection, self._context)
            late = runtime.later(self._timeout, connection.give_up, "the handshake takes too long")
            try:
                await tls.handshake()
            except ssl.SSLError as error:
                runtime.log.info("No TLS with {client}: {error}", error=error,
                                 client=connection.request.client)  # fmt: skip
                connection.linger()
                await connection.discard()
                return
            finally:
                late.cancel()
            try:
                await self._serve(tls)
                await tls.close()
            except RequestAborted:
                pass  # the client has left: nobody need catch that
            except (Exception, runtime.cancelled) as error:
                connection.fail(error)
                raise
            connection.linger()
            await connection.discard()

        return connection.accepted(bulk=self._bulk), run
