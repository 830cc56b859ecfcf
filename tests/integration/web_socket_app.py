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


class Page(Echo):
    """A page that opens a WebSocket to where it comes from, and says in its title how that went."""

    def requestReceived(self, request: Request) -> Response:
        return Response(200, [(b"Content-Type", b"text/html; charset=utf-8")], PAGE)


PAGE = b"""<!doctype html><title>waiting</title><script>
const ws = new WebSocket(location.origin.replace('http', 'ws') + '/chat');
const sent = ['hello', 'x'.repeat(300000), new Uint8Array([0, 255, 10])];
ws.binaryType = 'arraybuffer';
const came = [];
ws.onopen = () => sent.forEach(each => ws.send(each));
ws.onmessage = event => {
  came.push(event.data);
  if (came.length == sent.length) ws.close(4001, 'enough');
};
ws.onclose = event => {
  const same = came.length == 3 && came[0] == sent[0] && came[1] == sent[1]
    && new Uint8Array(came[2]).join() == sent[2].join();
  document.title = [same, event.code, event.reason, event.wasClean, ws.extensions].join(' ');
};
</script>
"""
