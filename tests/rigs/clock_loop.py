"""An event loop of asyncio whose time passes when nothing else is to be done, and at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.trial.unittest import SynchronousTestCase

T = TypeVar("T")


class ClockSelector(selectors.DefaultSelector):
    """Waits for no I/O: it lets time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("nothing will ever happen")
        self.now += max(0.0, timeout)
        return []


class ClockLoop(asyncio.SelectorEventLoop):
    """A loop without I/O, whose C{time} is that of its selector."""

    def __init__(self) -> None:
        self.selector = ClockSelector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now


class ClockLoopCase(SynchronousTestCase):
    """A test with a L{ClockLoop}."""

    def setUp(self) -> None:
        self.loop = ClockLoop()
        self.addCleanup(self._close)

    def _close(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.wait(tasks) if tasks else asyncio.sleep(0))
        self.advance()
        self.loop.close()

    def run_until(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, however much time that takes."""
        return self.loop.run_until_complete(coroutine)

    def advance(self, seconds: float = 0.0) -> None:
        """Let so much time pass, and run all that is due."""
        self.run_until(asyncio.sleep(seconds))
        for _ in range(5):
            self.run_until(asyncio.sleep(0))


class MemoryTransport(asyncio.Transport):
    """
    What a protocol has written.

    @ivar socket: what C{get_extra_info("socket")} gives.
    @ivar far: its other end, if a test has one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.written = b""
        self.reading = True
        self.aborted = self.half_closed = False
        self.socket: Any = None
        self.far: Any = None
        self.protocol = protocol
        self._closing = False
        self._loop = loop
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        self.written += data

    def take(self) -> bytes:
        """What was written since the last call."""
        data, self.written = self.written, b""
        return data

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.half_closed = True

    def close(self) -> None:
        self.lose(None)

    def abort(self) -> None:
        self.aborted = True
        self.lose(None)

    def lose(self, reason: Exception | None) -> None:
        """The connection is gone, as the protocol hears in the next turn."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self.protocol.connection_lost, reason)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.socket if name == "socket" else default
