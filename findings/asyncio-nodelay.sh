#!/usr/bin/env bash
# asyncio, and so uvicorn's workers: connections of a socket made beforehand lack TCP_NODELAY.
#
# asyncio's documentation says that the option is set for all TCP connections, since 3.6 (at
# loop.create_server() and create_connection()). It is set where the socket's number of protocol is
# TCP's. A socket that is made by socket.create_server() or socket.socket() has 0 there, which is
# TCP all the same, as has what is accepted of it, and there it is not set. So uvicorn has it where
# it listens by itself, and not with --workers or --reload, for which it makes the socket first: an
# answer, whose head and content are two writes, waits for the client's delayed acknowledgement,
# 44 ms in the place of 0.5 for each request of a connection over loopback. uvloop sets it for
# each, and asyncio does for a socket that is opened anew by its descriptor alone.
# Seen with CPython 3.11.7 (and 3.12.1, 3.13.0) and uvicorn 0.54.0; uvloop 0.23.0 beside them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvicorn==0.54.0 uvloop==0.23.0
cat >"$folder/seen.py" <<'END'
import asyncio
import socket

import uvicorn
import uvloop

def made():
    return socket.create_server(("127.0.0.1", 0))

def uvicorns():
    config = uvicorn.Config("a:b", host="127.0.0.1", port=0, workers=2, log_level="critical")
    return config.bind_socket()

WAYS = {
    "a host": lambda: {"host": "127.0.0.1", "port": 0},
    "made": lambda: {"sock": made()},
    "anew": lambda: {"sock": socket.socket(fileno=made().detach())},
    "uvicorn's for workers": lambda: {"sock": uvicorns()},
}

class Told(asyncio.Protocol):
    def __init__(self, told):
        self.told = told

    def connection_made(self, transport):
        accepted = transport.get_extra_info("socket")
        self.told.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        transport.close()

async def option(way):
    loop = asyncio.get_running_loop()
    told = loop.create_future()
    server = await loop.create_server(lambda: Told(told), **way())
    with socket.create_connection(server.sockets[0].getsockname()):
        return await told

for run in (asyncio.run, uvloop.run):
    found = "; ".join(f"{name} {bool(run(option(way)))}" for name, way in WAYS.items())
    print(f"{run.__module__.split('.')[0]}: {found}")
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = "asyncio: a host True; made False; anew True; uvicorn's for workers False
uvloop: a host True; made True; anew True; uvicorn's for workers True" ] || {
  echo 'it has changed'
  exit 1
}
