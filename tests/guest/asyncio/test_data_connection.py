"""Tests for L{guest.asyncio.data_connection}, over real sockets: bodies that fill them."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from guest.asyncio.data_connection import AsyncioDataConnection, AsyncioDataPool
from guest.asyncio.loop import loop_maker
from guest.core.files import FileBody
from subproxy.wire import messages as m

TOKEN = b"t" * 16
SIZE = 5_000_000


class FarEnd:
    """The proxy's end of a pair of sockets."""

    def __init__(self, loop: asyncio.AbstractEventLoop, end: socket.socket) -> None:
        self._loop = loop
        end.setblocking(False)
        self.end = end

    async def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = await self._loop.sock_recv(self.end, 1 << 20)
            if not piece:
                break
            data += piece
        return data


class Dialled(AsyncioDataPool):
    """Dials one end of a pair."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(None, loop)  # type: ignore[arg-type]
        self.ours, theirs = socket.socketpair()
        self.far = FarEnd(loop, theirs)

    async def dial(self) -> AsyncioDataConnection:
        _, connection = await self._loop.create_unix_connection(
            lambda: AsyncioDataConnection(self, self._loop), sock=self.ours
        )
        return connection


class SocketTests(SynchronousTestCase):
    def run_it(self, play: Any) -> Any:
        """Play it on each loop, with a connection that has been claimed."""
        for kind in ("asyncio", "uvloop"):

            async def main() -> None:
                loop = asyncio.get_running_loop()
                pool = Dialled(loop)
                claiming = loop.create_task(pool.connect(7, TOKEN))
                claim = m.Connect(7, TOKEN).encode()
                assert await pool.far.receive(len(claim)) == claim
                await loop.sock_sendall(pool.far.end, claim)
                connection: Any = await claiming
                assert connection is not None
                try:
                    await asyncio.wait_for(play(loop, pool, connection), 60)
                finally:
                    pool.close()
                    pool.far.end.close()
                    await asyncio.sleep(0)

            loop = loop_maker(kind)()
            try:
                loop.run_until_complete(main())
                loop.run_until_complete(asyncio.sleep(0.01))
            finally:
                loop.close()

    def test_bytes(self) -> None:
        content = os.urandom(SIZE)

        async def play(loop: Any, pool: Dialled, connection: Any) -> None:
            receiving = loop.create_task(pool.far.receive(SIZE))
            self.assertTrue(await connection.send(content))
            self.assertEqual(await receiving, content)

        self.run_it(play)

    def test_a_file(self) -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(os.urandom(SIZE))
            file.flush()

            async def play(loop: Any, pool: Dialled, connection: Any) -> None:
                body = FileBody(open(file.name, "rb"))  # noqa: SIM115, ASYNC230
                body.start = 10
                receiving = loop.create_task(pool.far.receive(len(body)))
                self.assertTrue(await connection.send_file(body))
                self.assertEqual(len(await receiving), SIZE - 10)
                body.close()

            self.run_it(play)

    def test_the_far_end_leaves(self) -> None:
        async def play(loop: Any, pool: Dialled, connection: Any) -> None:
            sending = loop.create_task(connection.send(bytes(SIZE)))
            await asyncio.sleep(0)
            pool.far.end.close()
            self.assertFalse(await sending)
            self.assertFalse(await connection.send(b"x"))

        self.run_it(play)

    def test_it_is_aborted_while_it_sends(self) -> None:
        async def play(loop: Any, pool: Dialled, connection: Any) -> None:
            sending = loop.create_task(connection.send(bytes(SIZE)))
            await asyncio.sleep(0)
            connection.abort()
            self.assertFalse(await sending)

        self.run_it(play)

    def test_one_after_the_other(self) -> None:
        """When the proxy has said that it has all, the connection is kept for the next body."""

        async def play(loop: Any, pool: Dialled, connection: Any) -> None:
            self.assertTrue(await connection.send(b"first"))
            self.assertEqual(await pool.far.receive(5), b"first")
            connection.release()
            await loop.sock_sendall(pool.far.end, m.End(7).encode())
            while not pool._idle:  # noqa: ASYNC110
                await asyncio.sleep(0)
            self.assertIs(await pool.connect(8, TOKEN), connection)
            claim = m.Connect(8, TOKEN).encode()
            self.assertEqual(await pool.far.receive(len(claim)), claim)

        self.run_it(play)
