"""
TLS that the proxy passes through, passed on to a program that ends it: it has the keys.

Each half ends by itself: the client's by the end of its tunnel's, the program's by a FIN.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from guest.core.errors import RequestAborted, RequestFailed
from guest.core.request import Request
from guest.core.response import Response

_READ = 65_536


class ProgramTlsTunnel(AsyncIterator[bytes]):
    """
    What the program sends, as it comes; what the client does goes to it meanwhile.

    @param reader: of a fresh connection to the program.
    @param writer: likewise.
    """

    __slots__ = ("_reader", "_request", "_sending", "_writer")

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._request = request
        self._sending = asyncio.ensure_future(self._send())

    def response(self) -> Response:
        """The acceptance, for the proxy."""
        return Response(200, [], self)

    async def _send(self) -> None:
        writer, body = self._writer, self._request.body
        try:
            while (piece := await body.next()) is not None:
                writer.write(piece)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            return  # whoever reads what it sends gets to know
        except RequestAborted:
            writer.transport.abort()

    async def __anext__(self) -> bytes:
        """
        The next piece.

        @raise RequestFailed: it breaks off.
        """
        try:
            piece = await self._reader.read(_READ)
        except OSError as error:
            self._sending.cancel()
            raise RequestFailed(f"the program broke off: {error.strerror}") from None
        if piece:
            return piece
        if self._sending.done():
            self._writer.close()
        else:
            self._sending.add_done_callback(lambda _: self._writer.close())
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Nobody takes the rest."""
        if not self._reader.at_eof():
            self._sending.cancel()
            self._writer.transport.abort()
