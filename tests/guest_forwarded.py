"""An application that answers with who asks, as the proxy tells it."""

from __future__ import annotations

from guest import Request, Response, SubscriberProtocol


class Forwarded(SubscriberProtocol):
    """The address of the client, and X-Forwarded-For."""

    def requestReceived(self, request: Request) -> Response:
        """Answer."""
        told = request.header(b"x-forwarded-for")
        return Response(200, [(b"content-type", b"text/plain")], request.client + b" " + told)
