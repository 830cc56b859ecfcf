#!/usr/bin/env bash
# tornado: to a WebSocket handshake that offers compression in a way it lacks it answers 500.
#
# A client offers permessage-deflate in one or several ways, the one it likes best first; a server
# declines what it does not know or support, takes another, or goes on without (RFC 7692, sections 5
# and 7.1). tornado, where compression is on, looks at the first alone, and raises ValueError of it:
# for a parameter that it does not know, and for server_max_window_bits=8, which is a valid value,
# but which zlib has not had for a raw stream since 1.2.9. The client gets 500 and no WebSocket,
# even if its next offer is the plain one. websockets takes that.
# Seen with tornado 6.6.1; websockets 17.4 beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check tornado==6.6.1 websockets==17.4
cat >"$folder/seen.py" <<'END'
import asyncio
import logging

from tornado.web import Application
from tornado.websocket import WebSocketHandler
from websockets.asyncio.server import serve

HEAD = """GET / HTTP/1.1
Host: a.example
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Version: 13
Sec-WebSocket-Extensions: {}

"""
OFFERS = (
    "permessage-deflate",
    "permessage-deflate; server_max_window_bits=8, permessage-deflate",
    "permessage-deflate; level=9, permessage-deflate",
)
logging.disable()


class InTornado(WebSocketHandler):
    def get_compression_options(self):
        return {}


async def in_websockets(connection):
    await connection.wait_closed()


async def ask(port, offer):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD.format(offer).replace("\n", "\r\n").encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    writer.close()
    return head.split()[1] + (" compressed" if "permessage-deflate" in head else "")


async def main():
    listening = Application([("/", InTornado)]).listen(0, "127.0.0.1")
    (socket,) = listening._sockets.values()
    serving = await serve(in_websockets, "127.0.0.1", 0)
    for name, each in (("tornado", socket), ("websockets", serving.sockets[0])):
        port = each.getsockname()[1]
        print(f"{name}:", ", ".join([await ask(port, offer) for offer in OFFERS]))


asyncio.run(main())
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = 'tornado: 101 compressed, 500, 500
websockets: 101 compressed, 101 compressed, 101 compressed' ] || { echo 'it has changed'; exit 1; }
