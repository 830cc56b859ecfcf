"""What Autobahn|Testsuite asks: an echo by Starlette, and one by websockets, as a server."""

from __future__ import annotations

import asyncio
import sys
from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Starlette's WebSocket, in ASGI."""
    from starlette.websockets import WebSocket, WebSocketDisconnect

    if scope["type"] != "websocket":
        return
    socket = WebSocket(scope, receive, send)
    await socket.accept()
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await socket.send_text(message["text"])
            else:
                await socket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        return


async def serve(port: int) -> None:
    """An echo on a port of its own."""
    from websockets.asyncio.server import serve as listen
    from websockets.exceptions import ConnectionClosed

    async def echo(connection: Any) -> None:
        try:
            async for message in connection:
                await connection.send(message)
        except ConnectionClosed:
            return

    async with listen(echo, "127.0.0.1", port, max_size=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
