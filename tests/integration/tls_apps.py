"""Applications that say what they are told of a client's TLS, by each interface."""

from __future__ import annotations

from typing import Any

from guest import Request, Response, SubscriberProtocol


class TwistedTls(SubscriberProtocol):
    """On Twisted."""

    async def requestReceived(self, request: Request) -> Response:
        tls = request.tls
        if tls is None:
            return Response(200, [], b"nothing")
        cert = b"none" if tls.cert is None else b"%d" % len(tls.cert)
        said = b" ".join([tls.version, tls.sni or b"-", str(tls.verified).encode(), cert])
        return Response(200, [], said)


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """By ASGI's extension."""
    if scope["type"] == "lifespan":
        return
    tls = scope["extensions"].get("tls")
    said = "nothing"
    if tls is not None:
        said = f"{tls['tls_version']:#x} {tls['client_cert_name']} {len(tls['client_cert_chain'])}"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": said.encode()})


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """By Apache's variables."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    names = ("SSL_PROTOCOL", "SSL_CLIENT_VERIFY", "SSL_CLIENT_S_DN")
    return [" ".join(str(environ.get(name)) for name in names).encode()]
