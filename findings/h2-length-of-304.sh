#!/usr/bin/env bash
# h2: a 304 with Content-Length breaks the connection, if an empty DATA frame ends it.
#
# A 304 may have the Content-Length that a 200 would have had (RFC 9110, section 8.6); RFC 9113,
# section 8.1.1, names 304 and HEAD as answers whose length need not be that of their DATA frames.
# Where the HEADERS frame ends the stream h2's client takes it. Where an empty DATA frame does, as
# behind hypercorn, it raises InvalidBodyLengthError, an error of the connection, and httpx fails.
# Of HEAD, to which the same applies, h2 takes both; and httpx takes all over HTTP/1.1.
# Seen with h2 4.4.1, httpx 0.28.1 and hypercorn 0.18.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  h2==4.4.1 httpx==0.28.1 hypercorn==0.18.0
cat >"$folder/seen.py" <<'END'
import asyncio
import socket

import httpx
from hypercorn.asyncio import serve
from hypercorn.config import Config

async def application(scope, receive, send):
    if scope["type"] == "http":
        length = [(b"content-length", b"5")] if scope["path"] == "/length" else []
        await send({"type": "http.response.start", "status": 304, "headers": length})
        await send({"type": "http.response.body"})

async def main():
    listening = socket.create_server(("127.0.0.1", 0))
    config, ended = Config(), asyncio.Event()
    config.bind = [f"fd://{listening.fileno()}"]
    config.accesslog = config.errorlog = None
    server = asyncio.create_task(serve(application, config, shutdown_trigger=ended.wait))
    url = "http://127.0.0.1:{}".format(listening.getsockname()[1])
    for versions in ({"http1": True}, {"http1": False, "http2": True}):
        async with httpx.AsyncClient(**versions) as client:
            for method, path in (("GET", "/"), ("GET", "/length"), ("HEAD", "/length")):
                try:
                    answer = await client.request(method, url + path)
                    found = f"{answer.http_version} {answer.status_code}"
                except httpx.HTTPError as error:
                    found = f"{type(error).__name__}: {error}"
                print(f"{method} {path}: {found}", flush=True)
    ended.set()
    await server

asyncio.run(main())
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = 'GET /: HTTP/1.1 304
GET /length: HTTP/1.1 304
HEAD /length: HTTP/1.1 304
GET /: HTTP/2 304
GET /length: LocalProtocolError: InvalidBodyLengthError: Expected 5 bytes, received 0
HEAD /length: HTTP/2 304' ] || { echo 'it has changed'; exit 1; }
