"""
Streams: /ticks sends a line a second, /zeros/N sends N bytes as fast as the client takes them.

    python -m guest --host='stream\\.example' stream:Stream
"""

from collections.abc import AsyncIterator, Iterator

from twisted.internet import reactor
from twisted.internet.task import deferLater

from guest import Request, Response, SubscriberProtocol

PIECE = bytes(16_384)
TEXT = [(b"content-type", b"text/plain")]


class Stream(SubscriberProtocol):
    """One asynchronous stream, one that is pulled."""

    def requestReceived(self, request: Request) -> Response:
        if request.path == b"/ticks":
            return Response(200, TEXT, ticks())
        name, _, size = request.path.rpartition(b"/")
        if name == b"/zeros" and size.isdigit():
            headers = [(b"content-type", b"application/octet-stream"), (b"content-length", size)]
            return Response(200, headers, zeros(int(size)))
        return Response(404, TEXT, b"try /ticks or /zeros/1000000\n")


async def ticks() -> AsyncIterator[bytes]:
    """A line a second, until the client leaves: then the generator is closed."""
    number = 0
    while True:
        number += 1
        yield b"tick %d\n" % number
        await deferLater(reactor, 1)


def zeros(size: int) -> Iterator[bytes]:
    """So many bytes; each piece is made when there is credit for it."""
    while size > 0:
        yield PIECE[:size]
        size -= len(PIECE)
