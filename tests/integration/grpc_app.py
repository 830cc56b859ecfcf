"""A guest that speaks gRPC, by its wire format alone: four calls, and some that go wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator

from twisted.internet import reactor
from twisted.internet.task import deferLater

from guest import Request, Response, SubscriberProtocol

GRPC = [(b"content-type", b"application/grpc")]


async def messages(request: Request) -> AsyncIterator[bytes]:
    """What the client says: each is behind five bytes (compressed or not, and its length)."""
    held = b""
    async for piece in request:
        held += piece
        while len(held) >= 5 and len(held) >= 5 + int.from_bytes(held[1:5], "big"):
            size = 5 + int.from_bytes(held[1:5], "big")
            yield held[5:size]
            held = held[size:]


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def status(code: int, text: bytes = b"") -> list[tuple[bytes, bytes]]:
    return [(b"grpc-status", b"%d" % code), *([(b"grpc-message", text)] if text else [])]


class Grpc(SubscriberProtocol):
    def requestReceived(self, request: Request) -> Response:
        if not request.takes_trailers:
            return Response(200, [*GRPC, *status(12, b"no trailers are taken")])
        if request.path == b"/test.Echo/Refused":
            # Trailers alone: the head is all there is.
            return Response(200, [*GRPC, *status(7, b"not you")])
        call = {
            b"/test.Echo/Unary": self.unary,
            b"/test.Echo/Count": self.count,
            b"/test.Echo/Sum": self.sum,
            b"/test.Echo/Talk": self.talk,
            b"/test.Echo/Broken": self.broken,
            b"/test.Echo/Slow": self.slow,
        }[request.path]
        ended = status(10, b"half way") if request.path.endswith(b"Broken") else status(0)
        given = request.header(b"x-given")
        headers = [*GRPC, *([(b"x-given", given)] if given else [])]
        return Response(200, headers, call(request), ended)

    async def unary(self, request: Request) -> AsyncIterator[bytes]:
        async for message in messages(request):
            yield framed(message.upper())

    async def count(self, request: Request) -> AsyncIterator[bytes]:
        async for message in messages(request):
            for each in range(int(message)):
                yield framed(b"%d" % each)

    async def sum(self, request: Request) -> AsyncIterator[bytes]:
        total = 0
        async for message in messages(request):
            total += len(message)
        yield framed(b"%d" % total)

    async def talk(self, request: Request) -> AsyncIterator[bytes]:
        """Each message is answered when it comes; C{bye} ends it, though the client could go on."""
        async for message in messages(request):
            yield framed(message[::-1])
            if message == b"bye":
                return

    async def broken(self, request: Request) -> AsyncIterator[bytes]:
        yield framed(b"one")

    async def slow(self, request: Request) -> AsyncIterator[bytes]:
        await deferLater(reactor, 60)
        yield framed(b"late")
