"""How a unix socket is dialled."""

from __future__ import annotations

import asyncio
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from guest.sidecar.unix_dialling import dial_unix
from tests.rigs.clock_loop import ClockLoopCase
from tests.rigs.event_loops import RUNNERS
from tests.rigs.unix_listener import UnixListener


class Greeting(asyncio.Protocol):
    """
    Says hello, and goes.

    @ivar over: has a result when it is gone: until then its socket is open.
    """

    def __init__(self) -> None:
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        transport.write(b"hello")
        transport.close()

    def connection_lost(self, reason: Exception | None) -> None:
        self.over.set_result(None)


class LoopTests(SynchronousTestCase):
    """On either event loop, of the kernel's sockets."""

    def dial(self, listener: UnixListener, run: Any) -> bytes:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            greeting = await dial_unix(loop, Greeting, listener.path)
            await greeting.over

        run(main())
        return listener.accept().recv(5)

    def test_a_path(self) -> None:
        for run in RUNNERS:
            self.assertEqual(self.dial(UnixListener(self), run), b"hello")

    def test_an_abstract_socket(self) -> None:
        for run in RUNNERS:
            self.assertEqual(self.dial(UnixListener(self, abstract=True), run), b"hello")

    def test_nobody_is_there(self) -> None:
        listener = UnixListener(self)
        listener.path += "x"
        for run in RUNNERS:
            self.assertRaises(FileNotFoundError, self.dial, listener, run)


class BacklogTests(ClockLoopCase):
    """Whoever listens has not accepted those who were before."""

    def test_it_waits_for_room(self) -> None:
        listener = UnixListener(self)
        listener.fill()
        dialling = self.loop.create_task(dial_unix(self.loop, Greeting, listener.path))
        self.advance(1.0)
        self.assertFalse(dialling.done())
        listener.accept()
        self.advance(0.06)
        self.assertTrue(dialling.done())
        self.assertEqual(listener.accept().recv(5), b"hello")

    def test_nobody_waits_any_more(self) -> None:
        """Then it is not dialled any more: the room is somebody else's."""
        listener = UnixListener(self)
        listener.fill()
        waiting = asyncio.wait_for(dial_unix(self.loop, Greeting, listener.path), 3)
        self.assertRaises(asyncio.TimeoutError, self.run_until, waiting)
        listener.accept()
        self.advance(1.0)
        listener.fill()
