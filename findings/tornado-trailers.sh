#!/usr/bin/env bash
# tornado: a chunked message with a trailer is refused, by its client and by its server.
#
# Behind the last chunk there may be trailer fields, which a recipient may drop, and in the line of
# a chunk's size there may be extensions, which it must ignore if it does not know them (RFC 9112,
# sections 7.1.1 and 7.1.2). tornado takes neither: its client closes the connection, and raises
# HTTPStreamClosedError in the place of the answer; its server answers 400. aiohttp reads both, on
# either side.
# Seen with tornado 6.6.1; aiohttp 3.14.5 beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check tornado==6.6.1 aiohttp==3.14.5
cat >"$folder/seen.py" <<'END'
import asyncio
import logging

import aiohttp
from aiohttp import web
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

FIELDS = b"Host: a.example\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
BODIES = {
    "plain": b"5\r\nhello\r\n0\r\n\r\n",
    "a trailer": b"5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n",
    "an extension": b"5;a=b\r\nhello\r\n0\r\n\r\n",
}

class Echo(RequestHandler):
    def post(self):
        self.write(self.request.body)

async def echo(request):
    return web.Response(body=await request.read())

async def by_tornado(url):
    try:
        return (await AsyncHTTPClient().fetch(url)).body.decode()
    except Exception as error:
        return type(error).__name__

async def by_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()

async def answer_with(body, ask):
    """What a client makes of a server's answer with that body."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + FIELDS + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        return await ask("http://127.0.0.1:{}/".format(server.sockets[0].getsockname()[1]))
    finally:
        server.close()

async def request_with(body, port):
    """The status of a server's answer to a request with that body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\n" + FIELDS + body)
    line = await reader.readline()
    writer.close()
    return line.split()[1].decode()

async def main():
    (listening,) = bind_sockets(0, "127.0.0.1")
    HTTPServer(Application([("/", Echo)])).add_socket(listening)
    ours = listening.getsockname()[1]
    application = web.Application()
    application.add_routes([web.post("/", echo)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    other = runner.addresses[0][1]
    for name, ask, port in (("aiohttp", by_aiohttp, other), ("tornado", by_tornado, ours)):
        for what, body in BODIES.items():
            client, server = await answer_with(body, ask), await request_with(body, port)
            print(f"{name}, {what}: client {client}, server {server}")

logging.disable()
asyncio.run(main())
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = 'aiohttp, plain: client hello, server 200
aiohttp, a trailer: client hello, server 200
aiohttp, an extension: client hello, server 200
tornado, plain: client hello, server 200
tornado, a trailer: client HTTPStreamClosedError, server 400
tornado, an extension: client HTTPStreamClosedError, server 400' ] || {
  echo 'it has changed'
  exit 1
}
