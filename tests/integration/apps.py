"""Applications that integration tests run in their guests."""

from __future__ import annotations

import hashlib
import os

from twisted.internet import reactor
from twisted.internet.task import deferLater

from guest import Request, Response, SubscriberProtocol

NAME = os.environ.get("APP_NAME", "app").encode()
DELAY = float(os.environ.get("APP_DELAY", "0"))


class Named(SubscriberProtocol):
    """Says its name, after a while."""

    async def requestReceived(self, request: Request) -> Response:
        if DELAY:
            await deferLater(reactor, DELAY)
        return Response(200, [(b"x-guest", NAME)], NAME + b"\n")


class WhoAsks(SubscriberProtocol):
    """Says who asks: client, scheme, and X-Forwarded-For."""

    async def requestReceived(self, request: Request) -> Response:
        way = [value for name, value in request.headers if name.lower() == b"x-forwarded-for"]
        said = b" ".join([request.client, request.scheme, *way])
        return Response(200, [], said + b"\n")


class Mirror(SubscriberProtocol):
    """Sends the body back: whole, or, asked for it by the path, as a stream."""

    async def requestReceived(self, request: Request) -> Response:
        body = await request.read()
        headers = [
            (b"x-method", request.method),
            (b"x-digest", hashlib.sha256(body).hexdigest().encode()),
        ]
        if request.path == b"/stream":
            return Response(200, headers, (body[i : i + 5000] for i in range(0, len(body), 5000)))
        return Response(200, headers, body)


class Endless(SubscriberProtocol):
    """A gigabyte, or as many bytes as the path says."""

    def requestReceived(self, request: Request) -> Response:
        size = int(request.path[1:] or b"1073741824")
        piece = b"0123456789abcdef" * 1024

        def pieces():
            left = size
            while left > 0:
                yield piece[: min(left, len(piece))]
                left -= len(piece)

        return Response(200, [(b"content-length", b"%d" % size)], pieces())


class AtOnce(SubscriberProtocol):
    """Sends each piece of a body back as soon as it comes."""

    def requestReceived(self, request: Request) -> Response:
        length = request.header(b"content-length", b"0")
        return Response(200, [(b"content-length", length)], request)


class Told(SubscriberProtocol):
    """Says what it was told of its client; with the path C{/reset}, that in a 205."""

    def requestReceived(self, request: Request) -> Response:
        lines = [b"client: " + request.client, b"scheme: " + request.scheme]
        lines += [b"%b: %b" % pair for pair in request.headers]
        return Response(205 if request.path == b"/reset" else 200, [], b"\n".join(lines))
