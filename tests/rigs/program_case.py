"""A program in memory, as the sidecar's end of its connections sees it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from guest.asyncio.framework import asyncio_framework
from guest.cli.sidecar_options import UPGRADE_TIMEOUT
from guest.core.errors import RequestAborted
from guest.core.request import Request
from guest.core.request_body import IncomingBody
from guest.core.response import Response
from guest.sidecar.address import ProgramAddress
from guest.sidecar.bridge import ProgramBridge
from guest.sidecar.connection import ProgramConnection
from guest.sidecar.pool import ConnectionPool
from tests.rigs.clock_loop import ClockLoopCase, MemoryTransport

Fields = list[tuple[bytes, bytes]]


class MemoryDialler:
    """
    Connections to a program that is played by the test.

    @ivar lines: those that were made.
    @ivar refusal: raised instead of the next.
    """

    def __init__(self, case: ClockLoopCase) -> None:
        self.address = ProgramAddress("127.0.0.1", 3000)
        self.lines: list[MemoryTransport] = []
        self.refusal: OSError | None = None
        self._case = case

    async def dial(self, loop: Any, protocol: Callable[[], Any]) -> Any:
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        made = protocol()
        transport = MemoryTransport(loop, made)
        # One that can be looked at: what the test closes at the far end, it sees.
        transport.socket, transport.far = socket.socketpair()
        transport.socket.setblocking(False)
        self._case.addCleanup(transport.socket.close)
        self._case.addCleanup(transport.far.close)
        self.lines.append(transport)
        return made


class Asked:
    """
    A request that is under way.

    @ivar body: what the client sends of its body.
    @ivar interims: the interim responses that it got.
    """

    def __init__(self, case: ProgramCase, request: Request, body: IncomingBody) -> None:
        self.request = request
        self.body = body
        self.interims: list[tuple[int, Fields]] = []
        self._case = case
        self.task = case.loop.create_task(case.bridge.answer(request))

    def result(self) -> Response:
        self._case.advance()
        return self.task.result()

    def read(self) -> bytes:
        """The rest of the response's body."""

        async def read() -> bytes:
            source: Any = self.task.result().body
            if isinstance(source, bytes):
                return source
            return b"".join([piece async for piece in source])

        return self._case.run_until(read())


class ProgramCase(ClockLoopCase):
    """A bridge to a program that the test plays."""

    host: bytes | None = None

    def setUp(self) -> None:
        super().setUp()
        self.dialler = MemoryDialler(self)
        self.pool = ConnectionPool(self.loop, self.dialler)  # type: ignore[arg-type]
        self.unreachable: list[OSError] = []
        self.bridge = ProgramBridge(
            self.pool, b"a:1", self.host, self.unreachable.append, UPGRADE_TIMEOUT
        )

    @property
    def line(self) -> MemoryTransport:
        """The connection that was made last."""
        return self.dialler.lines[-1]

    def program(self, *data: bytes | None, line: MemoryTransport | None = None) -> None:
        """The program sends; None: it closes."""
        for piece in data:
            protocol: ProgramConnection = (line or self.line).protocol  # type: ignore[assignment]
            if piece is None:
                protocol.eof_received()
                (line or self.line).lose(None)
            else:
                protocol.data_received(piece)
        self.advance()

    def ask(
        self,
        method: bytes = b"GET",
        headers: Fields | None = None,
        body: bytes | None = b"",
        **info: Any,
    ) -> Asked:
        """
        A request comes.

        @param body: None: it comes in pieces.
        """
        incoming = IncomingBody(asyncio_framework(self.loop), lambda _: None, body)
        told = {name.encode(): value for name, value in info.items()}
        fields = [(b"Host", b"blog.example"), *(headers or [])]

        def interim(status: int, section: Fields) -> None:
            if status == 199:
                raise ValueError("too many")
            asked.interims.append((status, section))

        request = Request(method, b"/", fields, told, incoming, interim)
        asked = Asked(self, request, incoming)
        self.advance()
        return asked

    def served(self, asked: Asked) -> bytes:
        """The body of an answer whose length is told."""
        self.program(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return asked.read()

    def leave(self, asked: Asked) -> None:
        """The client leaves."""
        asked.body.failed(RequestAborted("client", "left"))
        asked.task.cancel()
        self.advance()
