#!/usr/bin/env bash
# aiohttp and autobahn: a list of the WebSocket handshake that stands in two lines is not read.
#
# A client may write Sec-WebSocket-Protocol and Sec-WebSocket-Extensions in one line or in several,
# which mean the same (RFC 6455, sections 11.3.4 and 11.3.2; RFC 9110, section 5.3, of lists in
# general). aiohttp's server reads the first line of either: it accepts without the protocol that
# both sides speak, and a client that needs it must close then. autobahn's answers 400 where
# extensions have two lines. tornado, wsproto and ws (npm) take both lines.
# Seen with aiohttp 3.14.5 and autobahn 26.11.1; tornado 6.6.1, wsproto 1.3.2 and ws 8.23.0 beside
# them.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${node:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check \
  aiohttp==3.14.5 autobahn==26.11.1 tornado==6.6.1 wsproto==1.3.2
npm install --silent --no-fund --no-audit ws@8.23.0 >said 2>&1 || { cat said; exit 1; }
cat >server.js <<'END'
const http = require("node:http");
const { WebSocketServer } = require("ws");
const server = http.createServer();
new WebSocketServer({
  server, perMessageDeflate: true, handleProtocols: (offered) => offered.has("two") && "two",
});
server.listen("ws.sock");
END
cat >seen.py <<'END'
import asyncio
import logging
import pathlib

from aiohttp import web
from autobahn.asyncio.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOfferAccept
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application
from tornado.websocket import WebSocketHandler
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection
from wsproto.extensions import PerMessageDeflate

HEAD = """GET / HTTP/1.1
Host: a.example
Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
"""
ASKED = {
    "protocol": "Sec-WebSocket-Protocol: one{}two\n",
    "extension": "Sec-WebSocket-Extensions: x-other{}permessage-deflate\n",
}

async def by_aiohttp():
    async def answer(request):
        socket = web.WebSocketResponse(protocols=["two"])
        await socket.prepare(request)
        await socket.receive()
        return socket

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.UnixSite(runner, "aiohttp.sock").start()

async def by_autobahn():
    class Protocol(WebSocketServerProtocol):
        def onConnect(self, request):
            return "two" if "two" in request.protocols else None

    factory = WebSocketServerFactory()
    factory.protocol = Protocol
    factory.setProtocolOptions(
        perMessageCompressionAccept=lambda offers: PerMessageDeflateOfferAccept(offers[0])
    )
    await asyncio.get_running_loop().create_unix_server(factory, "autobahn.sock")

async def by_tornado():
    class Handler(WebSocketHandler):
        def select_subprotocol(self, offered):
            return "two" if "two" in offered else None

        def get_compression_options(self):
            return {}

    HTTPServer(Application([("/", Handler)])).add_socket(bind_unix_socket("tornado.sock"))

async def by_wsproto():
    async def serve(reader, writer):
        connection = WSConnection(ConnectionType.SERVER)
        connection.receive_data(await reader.readuntil(b"\r\n\r\n"))
        (request,) = connection.events()
        chosen = "two" if "two" in request.subprotocols else None
        accepted = AcceptConnection(subprotocol=chosen, extensions=[PerMessageDeflate()])
        writer.write(connection.send(accepted))

    await asyncio.start_unix_server(serve, "wsproto.sock")

async def ask(name, what, between):
    reader, writer = await asyncio.open_unix_connection(f"{name}.sock")
    field = ASKED[what]
    head = HEAD + field.format(between.format(field.partition(":")[0])) + "\n"
    writer.write(head.replace("\n", "\r\n").encode())
    answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    writer.close()
    if " 101 " not in answer:
        return answer.split()[1]
    line = [line for line in answer.split("\r\n") if line.startswith(f"sec-websocket-{what}")]
    return line[0].split()[1] if line else "none"

async def main():
    logging.disable()
    for start in (by_aiohttp, by_autobahn, by_tornado, by_wsproto):
        await start()
    for tried in range(300):
        if pathlib.Path("ws.sock").exists():
            break
        await asyncio.sleep(0.1)
    for name in ("tornado", "wsproto", "ws", "aiohttp", "autobahn"):
        found = [
            f"{what} {await ask(name, what, ', ')} and {await ask(name, what, chr(10) + '{}: ')}"
            for what in ASKED
        ]
        print(f"{name}: {'; '.join(found)}", flush=True)

asyncio.run(main())
END
node server.js &
node=$!
seen=$(timeout 60 venv/bin/python -W ignore seen.py 2>/dev/null)
printf '%s\n' "$seen"
right='protocol two and two; extension permessage-deflate and permessage-deflate'
[ "$seen" = "tornado: $right
wsproto: $right
ws: $right
aiohttp: protocol two and none; extension permessage-deflate and none
autobahn: protocol two and two; extension permessage-deflate and 400" ] || {
  echo 'it has changed'
  exit 1
}
