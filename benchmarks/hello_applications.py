"""The same answer of 13 bytes as an ASGI, a WSGI and a Twisted application."""

from __future__ import annotations

from typing import Any

BODY = b"Hello, World!"
FIELDS = [("Content-Type", "text/plain"), ("Content-Length", "13")]
RAW = [(name.lower().encode(), value.encode()) for name, value in FIELDS]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """For uvicorn and the guest."""
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": RAW})
    await send({"type": "http.response.body", "body": BODY})


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    """For gunicorn and the guest."""
    start_response("200 OK", FIELDS)
    return [BODY]


def __getattr__(name: str) -> Any:
    """C{Hello}, which imports Twisted: only for who asks for it."""
    if name != "Hello":
        raise AttributeError(name)
    from guest import Request, Response, SubscriberProtocol

    class Hello(SubscriberProtocol):
        """For the guest."""

        def requestReceived(self, request: Request) -> Response:
            return Response(200, RAW, BODY)

    return Hello
