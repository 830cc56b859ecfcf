"""An application of the guest library with WebSockets and a tunnel, for test_web_sockets."""

from __future__ import annotations

import os
import sys
from typing import Any

from guest import (
    Request,
    Response,
    SubscriberProtocol,
    TunnelAcceptance,
    TunnelConnection,
    WebSocket,
    WebSocketAcceptance,
)

LIMIT = 64 << 20


class Echo(SubscriberProtocol):
    """Sends back what comes: messages, and bytes of the protocol C{x-echo}."""

    tunnels = (b"x-echo",)

    def requestReceived(self, request: Request) -> Response:
        return Response(200, [], b"hello\n")

    def webSocketReceived(self, request: Request) -> Any:
        if request.path == b"/nowhere":
            return Response(403)
        return WebSocketAcceptance(
            self.echo,
            subprotocol=os.environ.get("SUBPROTOCOL"),
            message_limit=LIMIT,
            bulk=request.path == b"/bulk",
        )

    def tunnelReceived(self, request: Request) -> Any:
        if request.tunnel == b"x-echo":
            return TunnelAcceptance(self.bytes, bulk=request.path == b"/bulk")
        return self.webSocketReceived(request)

    async def echo(self, ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)
        say(f"over: {ws.close_code} {ws.close_reason}")

    async def bytes(self, tunnel: TunnelConnection) -> None:
        async for piece in tunnel:
            await tunnel.send(piece)
        say("the client has ended")


def say(text: str) -> None:
    """For the test, which reads our log."""
    print(text, file=sys.stdout, flush=True)
