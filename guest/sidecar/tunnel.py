"""
A tunnel between a client and the program: bytes of a protocol that neither of us knows.

The program has answered 101, and the proxy says so to the client. Each half ends by itself: the
client's by the end of its request's body, the program's by a FIN.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

from guest.core.errors import RequestAborted, RequestFailed
from guest.core.request import Request
from guest.core.response import Response
from guest.sidecar.connection import ProgramConnection, ProgramGone
from guest.sidecar.fields import end_to_end
from guest.sidecar.response_reader import AnswerEnd, AnswerHead


class ProgramTunnel(AsyncIterator[bytes]):
    """
    What the program sends, as it comes; what the client does goes to it meanwhile.

    The connection is of no other use any more.
    """

    __slots__ = ("_connection", "_request", "_sending", "_sent")

    def __init__(self, connection: ProgramConnection, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._sent = False  # all that the client has sent, and its end
        self._sending = asyncio.ensure_future(self._send())

    def response(self, head: AnswerHead) -> Response:
        """The acceptance, for the proxy: it proves by itself that the key was read."""
        headers = [
            (name, value)
            for name, value in end_to_end(head.headers)
            if name.lower() != b"sec-websocket-accept"
        ]
        return Response(200, headers, self)

    async def _send(self) -> None:
        connection, body = self._connection, self._request.body
        try:
            while (piece := await body.next()) is not None:
                connection.write(piece)
                await connection.drain()
        except ProgramGone:
            return  # whoever reads what it sends gets to know
        except RequestAborted:
            connection.abort()
            return
        self._sent = True
        connection.write_end()

    async def __anext__(self) -> bytes:
        """
        The next piece.

        @raise RequestFailed: it breaks off.
        """
        try:
            event = await self._connection.next()
        except ProgramGone as error:
            self._sending.cancel()
            raise RequestFailed(str(error)) from None
        if isinstance(event, AnswerEnd):
            if self._sent:
                self._connection.close()
            else:
                self._sending.add_done_callback(lambda _: self._connection.close())
            raise StopAsyncIteration
        return cast("bytes", event)

    async def aclose(self) -> None:
        """Nobody takes the rest."""
        if not self._connection.complete:
            self._sending.cancel()
            self._connection.abort()
