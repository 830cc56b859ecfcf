#!/usr/bin/env bash
# httpx and Twisted: of a body that is gzipped in two members they give the first alone.
#
# The content coding gzip is the format of RFC 1952 (RFC 9110, section 8.4.1.3), in which members
# may stand one behind another, as `cat a.gz b.gz` and bgzip leave them; servers send such files as
# they are. requests and aiohttp read all of it. httpx and Twisted's ContentDecoderAgent end behind
# the first member, however much follows, and say nothing: status 200, and a part of the text.
# Seen with httpx 0.28.1, Twisted 26.10.0, requests 2.34.2 (urllib3 2.8.0) and aiohttp 3.14.5.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  httpx==0.28.1 Twisted==26.10.0 requests==2.34.2 urllib3==2.8.0 aiohttp==3.14.5
cat >"$folder/seen.py" <<'END'
import asyncio
import gzip
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import aiohttp
import httpx
import requests
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.web.client import Agent, ContentDecoderAgent, GzipDecoder, readBody

BODY = gzip.compress(b"one ") + gzip.compress(b"two")

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"

async def by_aiohttp():
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()

async def by_twisted():
    agent = ContentDecoderAgent(Agent(reactor), [(b"gzip", GzipDecoder)])
    print("Twisted:", repr((await readBody(await agent.request(b"GET", url.encode()))).decode()))
    reactor.stop()

print("requests:", repr(requests.get(url).text))
print("aiohttp:", repr(asyncio.run(by_aiohttp())))
print("httpx:", repr(httpx.get(url).text))
reactor.callWhenRunning(lambda: ensureDeferred(by_twisted()))
reactor.run()
END
seen=$("$folder/venv/bin/python" "$folder/seen.py" 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = "requests: 'one two'
aiohttp: 'one two'
httpx: 'one '
Twisted: 'one '" ] || { echo 'it has changed'; exit 1; }
