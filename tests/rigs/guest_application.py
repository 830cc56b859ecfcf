"""The application of tests/vectors/README.md, for L{guest}; and a guest in memory that runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from guest.core.request import Request
from guest.core.response import Response
from guest.core.route import Route
from guest.testing import MemoryTransport
from guest.twisted.factory import SubscriberFactory
from guest.twisted.subscriber import SubscriberProtocol
from subproxy.wire.limits import Limits
from subproxy.wire.states import Side
from tests.rigs.vector_runner import decoded, received


class VectorApplication(SubscriberProtocol):
    """Does what the vectors ask for."""

    def requestReceived(self, request: Request) -> Any:
        match request.target:
            case b"/echo":
                return self.echo(request)
            case b"/stream":
                return Response(200, [], pieces(request), trailers=lambda: request.trailers)
            case b"/large":
                trailers = lambda: request.trailers  # noqa: E731
                return Response(200, [], pieces(request), trailers=trailers, bulk=True)
            case b"/fields":
                return Response(200, [(b"x", b"x" * 2000)], b"hello\n")
            case b"/wait":
                return Deferred()
            case b"/break":
                return Response(200, [], breaking())
        return Response(200, [(b"content-type", b"text/plain")], b"hello\n")

    async def echo(self, request: Request) -> Response:
        return Response(200, [], await request.read())


async def pieces(request: Request) -> AsyncIterator[bytes]:
    async for piece in request:
        yield piece


def breaking() -> Iterator[bytes]:
    yield b"half"
    raise RuntimeError("on purpose")


class MemoryGuest:
    """
    A subscription whose proxy is whoever calls L{send} and L{receive}
    (tests.rigs.vector_runner.Guest).

    After L{stop} it answers C{unregister} as a proxy does, and does not show it.
    """

    def __init__(
        self,
        application: type[SubscriberProtocol] = VectorApplication,
        limits: Limits | None = None,
        routes: tuple[Route, ...] = (Route(rb"blog\.example", rb"/.*"),),
        prepare: Callable[[SubscriberFactory], None] | None = None,
        **options: Any,
    ) -> None:
        self.clock = Clock()
        self.factory = SubscriberFactory(
            application, "vectors", routes, clock=self.clock, limits=limits, **options
        )
        if prepare is not None:
            prepare(self.factory)
        self.protocol: Any = self.factory.buildProtocol(None)
        self.transport = MemoryTransport(self.protocol)
        self.protocol.makeConnection(self.transport)
        self.stopping = False

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)
        self.clock.advance(0)

    def receive(self) -> bytes:
        data = self._written()
        return received(self, data) + self._written() if self.stopping else data

    def _written(self) -> bytes:
        data = b"".join(self.transport.written)
        self.transport.written.clear()
        return data

    def frames(self) -> list[Any]:
        """What it has said since the last call, decoded."""
        return decoded(self.receive())

    def closed(self) -> bool:
        return self.transport.disconnecting or self.protocol.connection.ours is Side.DONE

    def wait(self, seconds: float) -> None:
        self.clock.pump([seconds / 100] * 100)

    def stop(self) -> None:
        self.stopping = True
        self.protocol.drain()
