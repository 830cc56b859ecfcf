#!/usr/bin/env bash
# granian: it tells ASGI applications ports that are text, and of HTTP/1.0 that it is "1".
#
# The scope's "client" and "server" have a host and an integer port, and "http_version" is "1.0",
# "1.1" or "2" (ASGI's specification of HTTP, "HTTP Connection Scope"). Of granian both ports are
# strings, so that none equals 443, and a client of HTTP/1.0, as checks of health are, has another
# version than whoever looks for it expects. Behind a unix socket "client" is an empty host with the
# port "0", where a server that knows none says None.
# Seen with granian 2.8.9; uvicorn 0.54.0 beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check granian==2.8.9 uvicorn==0.54.0
cat >application.py <<'END'
async def application(scope, receive, send):
    port = type(scope["server"][1]).__name__
    client = scope["client"] and (scope["client"][0], type(scope["client"][1]).__name__)
    said = f"version {scope['http_version']!r}, our port {port}, client {client}"
    fields = [(b"content-length", b"%d" % len(said))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": said.encode()})
END
port() {
  python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'
}
ask() { curl -sf --retry 30 --retry-delay 1 --retry-all-errors --http1.0 "$@"; }
one=$(port) two=$(port)
venv/bin/uvicorn --lifespan=off --port="$one" application:application >uvicorn.log 2>&1 &
venv/bin/granian --interface=asginl --port="$two" application:application >log 2>&1 &
venv/bin/granian --interface=asginl --uds=unix.sock application:application >unix.log 2>&1 &
seen="uvicorn: $(ask "http://127.0.0.1:$one/")
granian: $(ask "http://127.0.0.1:$two/")
granian, unix socket: $(ask --unix-socket unix.sock http://a.example/)"
printf '%s\n' "$seen"
[ "$seen" = "uvicorn: version '1.0', our port int, client ('127.0.0.1', 'int')
granian: version '1', our port str, client ('127.0.0.1', 'str')
granian, unix socket: version '1', our port str, client ('', 'str')" ] || {
  echo 'it has changed'
  exit 1
}
