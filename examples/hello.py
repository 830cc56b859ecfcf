"""
The smallest application.

    python -m guest --host='blog\\.example' hello:Hello
"""

from guest import Request, Response, SubscriberProtocol


class Hello(SubscriberProtocol):
    """Says hello to everybody."""

    def requestReceived(self, request: Request) -> Response:
        return Response(200, [(b"content-type", b"text/plain")], b"hello\n")
