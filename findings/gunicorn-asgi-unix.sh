#!/usr/bin/env bash
# gunicorn's ASGI worker: of a unix socket it tells applications two letters of the path.
#
# The scope's "server" is a host and a port, or the path of a unix socket and None, or None where it
# is not known (ASGI's specification of HTTP, "Connection scope"). The worker takes the first two
# elements of whatever address its socket has, and that of a unix socket is a string: of "/run/a"
# it makes "/" for a host, and "r" for a port. "client" is None, as it should be.
# Seen with gunicorn 27.0.1; uvicorn 0.54.0, which tells the path and None, beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check gunicorn==27.0.1 uvicorn==0.54.0
cat >"$folder/application.py" <<'END'
async def application(scope, receive, send):
    if scope["type"] == "http":
        body = f"server {scope['server']}, client {scope['client']}".encode()
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})
END
cat >"$folder/seen.py" <<'END'
import os
import subprocess
import sys
import time
from socket import AF_UNIX, socket

def answer(path):
    """What an application says behind the socket of that path."""
    connection = socket(AF_UNIX)
    for _ in range(300):
        try:
            connection.connect(path)
            break
        except OSError:
            time.sleep(0.1)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
    found = b""
    while piece := connection.recv(65536):
        found += piece
    return found.decode().partition("\r\n\r\n")[2]

os.chdir(sys.argv[1])
for name, *options in (
    ("uvicorn", "--uds=uvicorn", "--lifespan=off"),
    ("gunicorn", "--bind=unix:gunicorn", "--worker-class=asgi", "--no-control-socket"),
):
    command = [f"venv/bin/{name}", *options, "application:application"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            print(f"{name}:", answer(name))
        finally:
            server.terminate()
END
seen=$(timeout 90 "$folder/venv/bin/python" "$folder/seen.py" "$folder")
printf '%s\n' "$seen"
[ "$seen" = "uvicorn: server ('uvicorn', None), client None
gunicorn: server ('g', 'u'), client None" ] || { echo 'it has changed'; exit 1; }
