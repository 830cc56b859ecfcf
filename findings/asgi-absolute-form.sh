#!/usr/bin/env bash
# uvicorn, gunicorn, hypercorn, daphne: of a request for a whole URL the path is that URL.
#
# A server must take "GET http://a.example/p", although clients should write it to proxies alone
# (RFC 9112, section 3.2.2); aiohttp, for one, can write it to a server behind a unix socket
# (aiohttp-unix-proxy.sh). ASGI's "path" has no host and no query (specification of HTTP, "HTTP
# Connection Scope"). uvicorn with h11, gunicorn's ASGI worker, hypercorn and daphne give the whole
# URL but its query, so that the application finds no route, and answers 404. granian takes it
# apart, as does uvicorn with httptools, which refuses a URL that ends behind the host.
# Seen with uvicorn 0.54.0 (h11 0.16.0, httptools 0.9.0), gunicorn 27.0.1, hypercorn 0.18.0, daphne
# 4.2.3 and granian 2.8.9.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check uvicorn==0.54.0 h11==0.16.0 httptools==0.9.0 \
  gunicorn==27.0.1 hypercorn==0.18.0 daphne==4.2.3 granian==2.8.9
cat >application.py <<'END'
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
    said = scope["path"].encode()
    fields = [(b"content-length", b"%d" % len(said))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": said})
END
cat >ask.py <<'END'
import socket
import sys
import time

def ask(path, target):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(
            f"GET {target} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n".encode()
        )
        head, _, content = connection.makefile("rb").read().partition(b"\r\n\r\n")
    status = head.split()[1].decode()
    return content.decode() if status == "200" else status

for name in sys.argv[1:]:
    for tried in range(300):
        try:
            ask(f"{name}.sock", "/")
            break
        except OSError:
            time.sleep(0.1)
    found = [ask(f"{name}.sock", f"http://a.example{path}") for path in ("/p?q", "")]
    print(f"{name}: {found[0]} and {found[1]}")
END
run() {
  local name=$1
  shift
  "venv/bin/$@" application:application >"$name.log" 2>&1 &
}
run h11 uvicorn --http=h11 --uds=h11.sock
run httptools uvicorn --http=httptools --uds=httptools.sock
run gunicorn gunicorn -k asgi -b unix:gunicorn.sock
run hypercorn hypercorn -b unix:hypercorn.sock
run daphne daphne -u daphne.sock
run granian granian --interface=asgi --uds=granian.sock
seen=$(timeout 90 venv/bin/python ask.py h11 gunicorn hypercorn daphne httptools granian)
printf '%s\n' "$seen"
[ "$seen" = 'h11: http://a.example/p and http://a.example
gunicorn: http://a.example/p and http://a.example
hypercorn: http://a.example/p and http://a.example
daphne: http://a.example/p and http://a.example
httptools: /p and 400
granian: /p and /' ] || { echo 'it has changed'; exit 1; }
