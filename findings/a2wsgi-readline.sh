#!/usr/bin/env bash
# a2wsgi: readline(size) of a request's body says that it has ended before any of it has come.
#
# wsgi.input.readline() may be given a size, as of any file (PEP 3333), and b"" means the end.
# a2wsgi, to which Starlette's documentation sends who has a WSGI application, looks for a line in
# what it has of the body, and that is nothing at first: who reads it so finds it empty, and no
# error is raised. readlines(hint) gives as many lines as the hint has bytes. asgiref's WsgiToAsgi,
# which does the same work, gives what was sent.
# Seen with a2wsgi 1.10.10; asgiref 3.13.0 beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check a2wsgi==1.10.10 asgiref==3.13.0
cat >"$folder/seen.py" <<'END'
import asyncio

from a2wsgi import WSGIMiddleware
from asgiref.wsgi import WsgiToAsgi

SCOPE = {
    "type": "http", "method": "POST", "path": "/", "query_string": b"", "http_version": "1.1",
    "headers": [(b"host", b"a.example"), (b"content-length", b"8")],
}

def ways(body):
    yield "readline()", body.readline
    yield "readline(100)", lambda: body.readline(100)
    yield "readlines(3)", lambda: body.readlines(3)

async def ask(adapter, which):
    found = []

    def application(environ, start_response):
        name, way = list(ways(environ["wsgi.input"]))[which]
        found.append(f"{name} {way()!r}")
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    messages = [
        {"type": "http.request", "body": b"one\ntw", "more_body": True},
        {"type": "http.request", "body": b"o\n"},
    ]

    async def receive():
        return messages.pop(0)

    async def send(message):
        pass

    await adapter(application)(SCOPE, receive, send)
    return found[0]

async def main():
    for adapter in (WsgiToAsgi, WSGIMiddleware):
        seen = [await ask(adapter, which) for which in range(3)]
        print(f"{adapter.__module__.split('.')[0]}:", "; ".join(seen))

asyncio.run(main())
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = "asgiref: readline() b'one\n'; readline(100) b'one\n'; readlines(3) [b'one\n']
a2wsgi: readline() b'one\n'; readline(100) b''; readlines(3) [b'one\n', b'two\n', b'']" ] || {
  echo 'it has changed'
  exit 1
}
