#!/usr/bin/env bash
# wsproto: a parameter of an extension in quotes ends the handshake without an answer.
#
# The value of an extension's parameter is a token, or the same in quotes (RFC 6455, section 9.1).
# wsproto reads client_max_window_bits=10 of permessage-deflate, and of "10" it raises ValueError,
# which is not among its own errors: hypercorn and uvicorn with --ws=wsproto log it, and close the
# connection with no status. uvicorn with websockets, its default, reads either.
# Seen with wsproto 1.3.2, hypercorn 0.18.0 and uvicorn 0.54.0; websockets 17.4 beside them.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check \
  wsproto==1.3.2 hypercorn==0.18.0 uvicorn==0.54.0 websockets==17.4
cat >application.py <<'END'
async def application(scope, receive, send):
    while scope["type"] == "lifespan":
        await send({"type": (await receive())["type"] + ".complete"})
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
END
cat >ask.py <<'END'
import socket
import sys
import time

HEAD = """GET / HTTP/1.1
Host: a.example
Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits={}

"""

def ask(path, value):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(HEAD.format(value).replace("\n", "\r\n").encode())
        return connection.recv(65536).decode()[9:12] or "no answer"

for name in ("websockets", "wsproto", "hypercorn"):
    for tried in range(300):
        try:
            token = ask(f"{name}.sock", "10")
            break
        except OSError:
            time.sleep(0.1)
    quoted = ask(f"{name}.sock", '"10"')
    print(f"{name}: token {token}, quoted {quoted}")
END
venv/bin/uvicorn --ws=websockets --uds=websockets.sock application:application >one.log 2>&1 &
venv/bin/uvicorn --ws=wsproto --uds=wsproto.sock application:application >two.log 2>&1 &
venv/bin/hypercorn -b unix:hypercorn.sock application:application >three.log 2>&1 &
seen=$(timeout 60 venv/bin/python ask.py)
printf '%s\n' "$seen"
[ "$seen" = 'websockets: token 101, quoted 101
wsproto: token 101, quoted no answer
hypercorn: token 101, quoted no answer' ] || { echo 'it has changed'; exit 1; }
