#!/usr/bin/env bash
# asgiref: WsgiToAsgi answers one request at a time, and says that it is a pool of threads.
#
# "The WSGI application will be run in a synchronous threadpool" (asgiref's README), and the
# application is told wsgi.multithread True. But it runs by sync_to_async in its sensitive mode,
# which has one thread for a whole process unless the caller makes a ThreadSensitiveContext for each
# request, as Django's own handler does, and WsgiToAsgi does not: a request that waits for a
# database holds up all others. Within that context requests run side by side; so they do with
# a2wsgi.
# Seen with asgiref 3.13.0; a2wsgi 1.10.10 beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check asgiref==3.13.0 a2wsgi==1.10.10
cat >"$folder/seen.py" <<'END'
import asyncio
import threading
import time

from a2wsgi import WSGIMiddleware
from asgiref.sync import ThreadSensitiveContext
from asgiref.wsgi import WsgiToAsgi

SCOPE = {
    "type": "http", "method": "GET", "path": "/", "query_string": b"", "http_version": "1.1",
    "headers": [(b"host", b"a.example")],
}
lock = threading.Lock()
running = most = 0
told = set()


def application(environ, start_response):
    global running, most
    with lock:
        running += 1
        most = max(most, running)
    told.add(environ["wsgi.multithread"])
    time.sleep(0.3)
    with lock:
        running -= 1
    start_response("200 OK", [("Content-Length", "0")])
    return [b""]


def in_context(adapted):
    async def asgi(scope, receive, send):
        async with ThreadSensitiveContext():
            await adapted(scope, receive, send)

    return asgi


async def receive():
    return {"type": "http.request", "body": b""}


async def send(message):
    pass


async def main():
    global most
    for name, adapted in (
        ("asgiref", WsgiToAsgi(application)),
        ("asgiref, a context each", in_context(WsgiToAsgi(application))),
        ("a2wsgi", WSGIMiddleware(application)),
    ):
        most = 0
        told.clear()
        await asyncio.gather(*(adapted(SCOPE, receive, send) for _ in range(4)))
        print(f"{name}: 4 requests, {most} at once; multithread {told}")


asyncio.run(main())
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = 'asgiref: 4 requests, 1 at once; multithread {True}
asgiref, a context each: 4 requests, 4 at once; multithread {True}
a2wsgi: 4 requests, 4 at once; multithread {True}' ] || { echo 'it has changed'; exit 1; }
