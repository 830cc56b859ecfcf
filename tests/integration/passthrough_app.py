"""A guest that holds its own keys, for test_passthrough: HTTP inside TLS that it ends itself."""

from __future__ import annotations

import os
import ssl
from typing import Any

from guest import Request, Response, SubscriberProtocol, TlsAcceptance, TlsTunnel


class Keys(SubscriberProtocol):
    """Answers C{GET /name} with what is known of the client, and echoes what is no C{GET}."""

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(os.environ["CERTIFICATE"])
    bulk = bool(os.environ.get("BULK"))

    def requestReceived(self, request: Request) -> Response:
        return Response(200, [], b"http\n")

    def tlsReceived(self, request: Request) -> Any:
        return TlsAcceptance(self.context, self.serve, bulk=self.bulk)

    async def serve(self, connection: TlsTunnel) -> None:
        request = connection.request
        assert request.tls is not None
        assert request.tls.sni is not None
        async for piece in connection:
            if not piece.startswith(b"GET "):
                await connection.send(piece)
                continue
            told = (request.method, request.target, request.client, request.tls.sni)
            body = b" ".join([*told, request.tls.version, b"\n"])
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
            await connection.send(head + body)
            return


class Refuses(Keys):
    """Takes nobody."""

    def tlsReceived(self, request: Request) -> Any:
        return Response(403)
