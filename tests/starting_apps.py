"""Applications that tests of the proxy's start and end run."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from guest import Request, Response, SubscriberProtocol


class Forwarded(SubscriberProtocol):
    """The address of the client, and X-Forwarded-For."""

    def requestReceived(self, request: Request) -> Response:
        """Answer."""
        told = request.header(b"x-forwarded-for")
        return Response(200, [(b"content-type", b"text/plain")], request.client + b" " + told)


class Silent(SubscriberProtocol):
    """It never answers."""

    def requestReceived(self, request: Request) -> Deferred[Response]:
        """Answer, one day."""
        print("asked", flush=True)
        return Deferred()
