#!/usr/bin/env bash
# llhttp, httptools and so uvicorn: white space behind a field's value is a part of it.
#
# Around a value there may be spaces and tabs, and they are no part of it (RFC 9112, section 5.1).
# llhttp takes away what is before it, and leaves the rest to whoever uses it: Node's http does that
# (its fetch() does not), httptools does not, and uvicorn[standard] passes on what it gets. With h11
# in its place, which uvicorn takes where httptools is not installed, the application sees another
# value. A Host that ends so is none that starlette's TrustedHostMiddleware knows, and an Upgrade
# none of a WebSocket.
# Seen with httptools 0.9.0, uvicorn 0.54.0, starlette 1.10.0; h11 0.16.0 beside them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  httptools==0.9.0 uvicorn==0.54.0 starlette==1.10.0 h11==0.16.0 wsproto==1.3.2
cat >"$folder/seen.py" <<'END'
import asyncio
import socket

import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket

async def application(scope, receive, send):
    if scope["type"] == "http":
        said = repr(dict(scope["headers"]).get(b"x-field"))
        await PlainTextResponse(said)(scope, receive, send)
    else:
        await WebSocket(scope, receive, send).accept()

SENT = {
    "a value": ("a.example", "X-Field: 1 \t"),
    "Host": ("a.example ", "X-Field: 1"),
    "a WebSocket": (
        "a.example",
        "Connection: Upgrade\r\nUpgrade: websocket \r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
}

async def answer(address, host, fields):
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = [line for line in head.lower().split("\r\n") if line.startswith("content-length")]
    body = await reader.readexactly(int(length[0].split()[1])) if length else b""
    writer.close()
    return f"{head.split()[1]} {body.decode()}".strip()

async def main(parser):
    listening = socket.create_server(("127.0.0.1", 0))
    trusted = TrustedHostMiddleware(application, ["a.example"])
    config = uvicorn.Config(trusted, http=parser, ws="wsproto", log_level="critical")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listening]))
    found = [f"{what} {await answer(listening.getsockname(), *SENT[what])}" for what in SENT]
    print(f"{parser}:", "; ".join(found))
    server.should_exit = server.force_exit = True
    await task

for parser in ("h11", "httptools"):
    asyncio.run(main(parser))
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = "h11: a value 200 b'1'; Host 200 b'1'; a WebSocket 101
httptools: a value 200 b'1 \t'; Host 400 Invalid host header; a WebSocket 200 None" ] || {
  echo 'it has changed'
  exit 1
}
