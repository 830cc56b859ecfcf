#!/usr/bin/env bash
# aiohttp: over a unix socket it writes requests for a proxy, if the environment names one.
#
# Who connects to the server itself asks for the path alone; a whole URL is for proxies (RFC 9112,
# sections 3.2.1 and 3.2.2). With trust_env a session takes http_proxy from the environment.
# UnixConnector connects to its socket all the same, and no proxy is asked, but the request is
# written as if one were: "GET http://a.example/p". A server must take that, and many take it for
# a path that they do not have (asgi-absolute-form.sh). httpx leaves the proxy out over a socket.
# Seen with aiohttp 3.14.5; httpx 0.28.1 beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check aiohttp==3.14.5 httpx==0.28.1
cat >"$folder/seen.py" <<'END'
import asyncio
import os
import sys

import aiohttp
import httpx

PATH = f"{sys.argv[1]}/server.sock"
URL = "http://a.example/p"

async def by_aiohttp():
    connector = aiohttp.UnixConnector(PATH)
    async with aiohttp.ClientSession(connector=connector, trust_env=True) as session:
        await session.get(URL)

async def by_httpx():
    transport = httpx.AsyncHTTPTransport(uds=PATH)
    async with httpx.AsyncClient(transport=transport, trust_env=True) as client:
        await client.get(URL)

async def main():
    asked = []

    async def serve(reader, writer):
        method, target, _ = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ", 2)
        asked.append(f"{method} {target}")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    await asyncio.start_unix_server(serve, PATH)
    for proxy in ("", "http://proxy.example:3128"):
        os.environ["http_proxy"] = proxy
        await by_aiohttp()
        await by_httpx()
        print(f"{'a' if proxy else 'no'} proxy: aiohttp {asked[-2]}; httpx {asked[-1]}")

asyncio.run(main())
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py" "$folder")
printf '%s\n' "$seen"
[ "$seen" = 'no proxy: aiohttp GET /p; httpx GET /p
a proxy: aiohttp GET http://a.example/p; httpx GET /p' ] || { echo 'it has changed'; exit 1; }
