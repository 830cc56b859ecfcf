#!/usr/bin/env bash
# starlette, aiohttp, werkzeug: a Range of a unit that they do not know is an error to them.
#
# Range has a unit, of which bytes is one, and others may be registered; a server must ignore the
# field if it does not understand the unit (RFC 9110, sections 14.1 and 14.2), and so answers 200
# with all of the file. starlette answers 400, aiohttp and werkzeug (Flask's send_file) answer 416,
# as if the file were too short. A client that asks for other units gets nothing, where it should
# have got what it needs to go on without. tornado ignores it.
# Seen with starlette 1.10.0, aiohttp 3.14.5 and werkzeug 3.1.9; tornado 6.6.1 beside them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check starlette==1.10.0 aiohttp==3.14.5 \
  werkzeug==3.1.9 tornado==6.6.1 httpx==0.28.1
cd "$folder"
printf 0123456789 >digits.txt
cat >seen.py <<'END'
import asyncio
import logging

import httpx
from aiohttp import web
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route
from tornado.web import Application, StaticFileHandler
from werkzeug.utils import send_file
from werkzeug.wrappers import Request

PATH = "/digits.txt"
logging.disable()


@Request.application
def with_werkzeug(request):
    return send_file("digits.txt", request.environ, conditional=True)


async def with_aiohttp(request):
    return web.FileResponse("digits.txt")


async def main():
    in_starlette = Starlette(routes=[Route(PATH, lambda request: FileResponse("digits.txt"))])
    in_aiohttp = web.Application()
    in_aiohttp.router.add_get(PATH, with_aiohttp)
    runner = web.AppRunner(in_aiohttp)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    in_tornado = Application([("/(digits.txt)", StaticFileHandler, {"path": "."})])
    listening = in_tornado.listen(0, "127.0.0.1")
    (socket,) = listening._sockets.values()
    asgi = httpx.AsyncClient(transport=httpx.ASGITransport(in_starlette), base_url="http://a")
    wsgi = httpx.Client(transport=httpx.WSGITransport(with_werkzeug), base_url="http://a")
    real = httpx.AsyncClient()

    async def ask(range_):
        fields = {"range": range_}
        yield "starlette", await asgi.get(PATH, headers=fields)
        yield "aiohttp", await real.get(
            f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}", headers=fields
        )
        yield "werkzeug", wsgi.get(PATH, headers=fields)
        yield "tornado", await real.get(
            f"http://127.0.0.1:{socket.getsockname()[1]}{PATH}", headers=fields
        )

    for range_ in ("bytes=2-4", "lines=2-4"):
        statuses = [f"{name} {answer.status_code}" async for name, answer in ask(range_)]
        print(f"{range_}:", ", ".join(statuses))


asyncio.run(main())
END
seen=$(timeout 60 venv/bin/python seen.py)
printf '%s\n' "$seen"
[ "$seen" = 'bytes=2-4: starlette 206, aiohttp 206, werkzeug 206, tornado 206
lines=2-4: starlette 400, aiohttp 416, werkzeug 416, tornado 200' ] || {
  echo 'it has changed'
  exit 1
}
