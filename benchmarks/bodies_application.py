"""The application in subproxy's guest for large bodies; the peers have ``native/backend.c``."""

from __future__ import annotations

from collections.abc import Iterator

from guest.request import Request
from guest.response import Response
from guest.subscriber import SubscriberProtocol

PIECE = bytes(65_536)
TYPE = (b"Content-Type", b"application/octet-stream")


def pieces(size: int) -> Iterator[bytes]:
    """So many bytes, a piece at a time, without a copy."""
    for _ in range(size // len(PIECE)):
        yield PIECE
    if size % len(PIECE):
        yield PIECE[: size % len(PIECE)]


class BodiesApplication(SubscriberProtocol):
    """``GET /bytes/N`` is N bytes; what is uploaded is thrown away; all else is 13 bytes."""

    async def requestReceived(self, request: Request) -> Response:
        if request.method in (b"PUT", b"POST"):
            async for _ in request:
                pass
        elif request.path.startswith(b"/bytes/"):
            size = int(request.path[7:])
            length = (b"Content-Length", b"%d" % size)
            return Response(200, [TYPE, length], pieces(size) if size else b"")
        return Response(200, [(b"Content-Type", b"text/plain")], b"Hello, World!")
