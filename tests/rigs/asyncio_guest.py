"""A guest on asyncio, in memory, whose time is told; its proxy is whoever calls it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from guest.asyncio.connection import Answer, AsyncioConnection
from guest.asyncio.data_connection import AsyncioDataConnection, AsyncioDataPool
from guest.asyncio.runtime import asyncio_runtime
from guest.core.profile import SubscriberProfile
from guest.core.request import Request
from guest.core.response import Response
from guest.core.route import Route
from subproxy.wire.limits import Limits
from subproxy.wire.states import Side
from tests.rigs.guest_application import breaking
from tests.rigs.vector_runner import decoded, received

T = TypeVar("T")
GUARD = 60.0
"""Seconds after which a test gives up waiting for a thread."""
TURNS = 24
"""Turns of the loop after which all that can happen has happened."""
IDLE = 3
"""Turns in which nothing was asked for: what is due by then, a timer too, has had its turn."""


class ToldLoop(asyncio.SelectorEventLoop):
    """An event loop on which no time passes but what L{advance} says."""

    def __init__(self) -> None:
        super().__init__()
        self._told = 0.0
        self._asked = 0
        self.failures: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    def time(self) -> float:
        return self._told

    def advance(self, seconds: float = 0.0) -> None:
        """Let time pass, and do all that is due."""
        self._told += seconds
        self.run_until_complete(self._turns())

    def call_soon(self, *args: Any, **options: Any) -> asyncio.Handle:
        self._asked += 1
        return super().call_soon(*args, **options)

    async def _turns(self) -> None:
        idle = turns = 0
        while turns < TURNS and idle < IDLE:
            asked = self._asked
            await asyncio.sleep(0)
            turns += 1
            # The one that was asked for is this coroutine's own next turn.
            idle = idle + 1 if self._asked == asked + 1 else 0

    def result(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What a coroutine returns that waits for nothing but turns."""
        task = self.create_task(coroutine)
        self.advance()
        assert task.done(), "it still waits"
        return task.result()


class MemoryStream(asyncio.Transport):
    """A transport in memory: keeps what was written, and how it was closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self.written: list[bytes] = []
        self.reading = True
        self.closing = self.aborted = False
        self.told: Callable[[], None] = lambda: None

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))
        self.told()

    def take(self) -> bytes:
        """What was written since the last call."""
        data = b"".join(self.written)
        self.written.clear()
        return data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """It has written already."""

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.lose(None)

    def abort(self) -> None:
        self.aborted = True
        self.lose(None)

    def lose(self, error: Exception | None) -> None:
        """The connection is gone."""
        if not self.closing:
            self.closing = True
            self._loop.call_soon(self._protocol.connection_lost, error)


async def vector_answer(request: Request) -> Response:
    """The application of tests/vectors/README.md."""
    match request.target:
        case b"/echo":
            return Response(200, [], await request.read())
        case b"/stream":
            return Response(200, [], pieces_of(request), trailers=lambda: request.trailers)
        case b"/large":
            trailers = lambda: request.trailers  # noqa: E731
            return Response(200, [], pieces_of(request), trailers=trailers, bulk=True)
        case b"/fields":
            return Response(200, [(b"x", b"x" * 2000)], b"hello\n")
        case b"/wait":
            await asyncio.get_running_loop().create_future()
        case b"/break":
            return Response(200, [], breaking())
    return Response(200, [(b"content-type", b"text/plain")], b"hello\n")


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    async for piece in request:
        yield piece


class MemoryLines(AsyncioDataPool):
    """Dials data connections in memory; refuses if C{refuses}."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dialled: list[MemoryLine]) -> None:
        super().__init__(None, loop)  # type: ignore[arg-type]
        self._dialled = dialled
        self.refuses = False

    def sibling(self) -> AsyncioDataPool:
        return MemoryLines(self._loop, self._dialled)

    async def dial(self) -> AsyncioDataConnection:
        if self.refuses:
            raise ConnectionRefusedError
        connection = AsyncioDataConnection(self, self._loop)
        stream = MemoryStream(self._loop, connection)
        connection.connection_made(stream)
        self._dialled.append(MemoryLine(connection, stream))
        return connection


class MemoryLine:
    """A data connection in memory (tests.rigs.vector_runner.Line)."""

    def __init__(self, connection: AsyncioDataConnection, stream: MemoryStream) -> None:
        self._connection = connection
        self.stream = stream
        self.loop: ToldLoop = stream._loop  # type: ignore[assignment]

    def send(self, data: bytes) -> None:
        self._connection.data_received(data)
        self.loop.advance()

    def receive(self) -> bytes:
        self.loop.advance()
        return self.stream.take()

    def end(self) -> None:
        self.stream.lose(None)
        self.loop.advance()

    def closed(self) -> bool:
        self.loop.advance()
        return self.stream.closing


class LoopGuest:
    """
    A subscription on asyncio (tests.rigs.vector_runner.DialsLines).

    @ivar told: what the announcer was told.
    """

    def __init__(
        self,
        answer: Answer = vector_answer,
        limits: Limits | None = None,
        routes: tuple[Route, ...] = (Route(rb"blog\.example", rb"/.*"),),
        bulk: bool = False,
        connection: Callable[..., AsyncioConnection] = AsyncioConnection,
        **options: Any,
    ) -> None:
        self.loop = ToldLoop()
        self.runtime = asyncio_runtime(self.loop)
        self.profile = SubscriberProfile("vectors", routes, limits=limits, **options)
        self._dialled: list[MemoryLine] = []
        if bulk:
            self.profile.data = MemoryLines(self.loop, self._dialled)
        self.told: list[Any] = []
        self.connection = connection(self.runtime, self.profile, answer, self, self._subscribed)
        self.stream = MemoryStream(self.loop, self.connection)
        self.stopping = False
        self._now(lambda: self.connection.connection_made(self.stream))

    plain = AsyncioConnection

    def _now(self, function: Callable[[], None]) -> None:
        """Do what event loops do: call it in a turn."""
        self.loop.call_soon(function)
        self.loop.advance()

    def registered(self, route: Route) -> None:
        self.told.append(("registered", str(route)))

    def refused(self, refusal: Any) -> None:
        self.told.append(("refused", refusal.code))

    def _subscribed(self, connection: AsyncioConnection) -> None:
        self.told.append("subscribed")

    def send(self, data: bytes) -> None:
        if not self.stream.closing:
            self._now(lambda: self.connection.data_received(data))

    def receive(self) -> bytes:
        data = self.stream.take()
        return received(self, data) + self.stream.take() if self.stopping else data

    def until(self, verb: bytes) -> list[Any]:
        """Let threads do their work until the guest has said C{verb}; all that it has said."""
        said: list[Any] = []
        task = self.loop.create_task(self._until(verb, said))
        guard = threading.Timer(GUARD, self.loop.call_soon_threadsafe, [task.cancel])
        guard.start()
        try:
            self.loop.run_until_complete(task)
        finally:
            guard.cancel()
        return said

    async def _until(self, verb: bytes, said: list[Any]) -> None:
        while not any(frame[0] == verb for frame in said):
            written = asyncio.Event()
            self.stream.told = written.set
            came = self.frames()
            if not came:
                await written.wait()
            said += came

    def frames(self) -> list[Any]:
        """What it has said since the last call, decoded."""
        return decoded(self.receive())

    def closed(self) -> bool:
        done = self.connection.subscription.connection.ours is Side.DONE
        return self.stream.closing or done

    def wait(self, seconds: float) -> None:
        for _ in range(100):
            self.loop.advance(seconds / 100)

    def stop(self) -> None:
        self.stopping = True
        self._now(self.connection.subscription.drain)

    def lines(self) -> list[MemoryLine]:
        return self._dialled

    def close(self) -> None:
        """End the loop."""
        self.stream.lose(None)
        self.loop.advance()
        self.loop.advance(60)
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.advance()
        self.loop.close()
