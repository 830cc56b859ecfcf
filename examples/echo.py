"""
Answers with what was sent, and OK to a request without a body.

    python -m guest --host='.*' echo:Echo

It is also what the Http11Probe suite wants to find behind a proxy.
"""

from collections.abc import AsyncIterator

from guest import Request, Response, SubscriberProtocol


class Echo(SubscriberProtocol):
    """Sends each body back, a piece at a time: of any size, it never lies whole in memory."""

    async def requestReceived(self, request: Request) -> Response:
        headers = [(b"content-type", request.header(b"content-type", b"text/plain"))]
        pieces = aiter(request)
        first = await anext(pieces, b"")
        length = request.header(b"content-length")
        if not first:
            return Response(200, headers, b"OK")
        # It answers only when it has seen more than one piece, or the end: of a body that turns
        # out broken in its first, nothing has been said yet.
        second = b"" if length == b"%d" % len(first) else await anext(pieces, b"")
        if not second:
            return Response(200, headers, first)
        if length:
            headers.append((b"content-length", length))
        return Response(200, headers, joined(first, second, pieces))


async def joined(first: bytes, second: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Two pieces, and those that follow them."""
    yield first
    yield second
    async for piece in rest:
        yield piece
