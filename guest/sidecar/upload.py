"""A request's body on its way to the program."""

from __future__ import annotations

import asyncio

from guest.core.errors import RequestAborted
from guest.core.request import Request
from guest.sidecar.connection import ProgramConnection, ProgramGone
from guest.sidecar.fields import chunk, last_chunk

PATIENCE = 1.0
"""Seconds that a program has to say 100 (Continue), as RFC 9110 section 10.1.1 wants it; some never
say it."""


class BodyUpload:
    """
    Sends the body of one request, as the client sends it and the program takes it.

    @ivar taken: some of the body has been taken from the request: it can't be sent again.
    @ivar complete: all of it has been written.
    """

    def __init__(
        self, request: Request, connection: ProgramConnection, length: int | None, wait: bool
    ) -> None:
        """
        Begin.

        @param length: of the body; None: it is sent in chunks.
        @param wait: do not ask the client for it before the program has said 100 (Continue).
        """
        self.taken = False
        self.complete = False
        self._request = request
        self._connection = connection
        self._length = length
        self._go_on = asyncio.Event()
        if not wait:
            self._go_on.set()
        self._task = asyncio.ensure_future(self._run())

    def go_on(self) -> None:
        """The program has said 100 (Continue)."""
        self._go_on.set()

    def cancel(self) -> None:
        """Send no more."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            await self._send()
        except ProgramGone:
            return  # whoever reads the response gets to know
        except RequestAborted:
            self._connection.abort()

    async def _send(self) -> None:
        if not self._go_on.is_set():
            try:
                await asyncio.wait_for(self._go_on.wait(), PATIENCE)
            except asyncio.TimeoutError:
                if self._connection.answered:
                    return
        body, connection, left = self._request.body, self._connection, self._length
        while left != 0:
            piece = await body.next()
            if piece is None:
                break
            self.taken = True
            if left is None:
                connection.write(chunk(piece))
            else:
                connection.write(piece)
                left -= len(piece)
            await connection.drain()
        if left is None:
            connection.write(last_chunk(body.trailers))
        self.complete = not left
