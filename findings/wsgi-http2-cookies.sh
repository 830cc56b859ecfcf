#!/usr/bin/env bash
# asgiref and a2wsgi: of the cookies that a browser sends over HTTP/2 they make one, with commas.
#
# Over HTTP/2 each cookie may stand in a field of its own, as browsers send them, and "; " belongs
# between them wherever they become one (RFC 9113, section 8.2.3; ASGI's specification of HTTP says
# the same). granian gives an ASGI application the fields as they came. WsgiToAsgi of asgiref, which
# is of ASGI's own authors, and a2wsgi join the fields of a name by commas, and these too: the WSGI
# application has one cookie, whose value holds the others. granian's own WSGI puts ";" between
# them, and hypercorn joins them before any application sees them.
# Seen with asgiref 3.13.0, a2wsgi 1.10.10 and granian 2.8.9; hypercorn 0.18.0, werkzeug 3.1.9 and
# httpx 0.28.1 beside them.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check asgiref==3.13.0 a2wsgi==1.10.10 \
  granian==2.8.9 hypercorn==0.18.0 werkzeug==3.1.9 'httpx[http2]==0.28.1'
cd "$folder"
cat >application.py <<'END'
from a2wsgi import WSGIMiddleware
from asgiref.wsgi import WsgiToAsgi
from werkzeug.wrappers import Request, Response


@Request.application
def wsgi(request):
    return Response(str(dict(request.cookies)))


with_asgiref = WsgiToAsgi(wsgi)
with_a2wsgi = WSGIMiddleware(wsgi)
END
cat >ask.py <<'END'
import sys
import time

import httpx

with httpx.Client(http1=False, http2=True) as client:
    for _ in range(200):
        try:
            crumbs = [("cookie", "session=a1"), ("cookie", "theme=dark")]
            print(client.get(f"http://127.0.0.1:{sys.argv[1]}/", headers=crumbs).text)
            break
        except httpx.TransportError:
            time.sleep(0.1)
END
ask() {
  local name=$1 port
  port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
  shift
  "${@//PORT/$port}" >>log 2>&1 &
  server=$!
  echo "$name: $(venv/bin/python ask.py "$port")"
  kill "$server"
  wait "$server" || true
}
granian='venv/bin/granian --http 2 --host 127.0.0.1 --port PORT'
hypercorn='venv/bin/hypercorn -b 127.0.0.1:PORT'
{
  ask 'granian, asgiref' $granian --interface asginl application:with_asgiref
  ask 'granian, a2wsgi' $granian --interface asginl application:with_a2wsgi
  ask 'granian, its own' $granian --interface wsgi application:wsgi
  ask 'hypercorn, asgiref' $hypercorn application:with_asgiref
} >seen
cat seen
[ "$(cat seen)" = "granian, asgiref: {'session': 'a1,theme=dark'}
granian, a2wsgi: {'session': 'a1,theme=dark'}
granian, its own: {'session': 'a1', 'theme': 'dark'}
hypercorn, asgiref: {'session': 'a1', 'theme': 'dark'}" ] || {
  echo 'it has changed'
  exit 1
}
