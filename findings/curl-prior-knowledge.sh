#!/usr/bin/env bash
# curl: with --http2-prior-knowledge no connection is used for a second request.
#
# In clear text, with prior knowledge of HTTP/2 (RFC 9113 section 3.3), curl ends with status 16 where
# it would use its connection again, and sends nothing: the second URL of a command is not fetched,
# and with -L no redirect is followed. Who tests a server in clear text so takes it for broken. With
# --next, and without the option for the second one, the connection is used; so it is over TLS. The
# same requests by httpx are answered.
# Seen with curl 7.88.1 (Debian 12's package), of h2 4.4.1.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
version=7.88.1-10+deb12u15
apt-get download -q "curl=$version" "libcurl4=$version" >/dev/null 2>&1
for package in ./*.deb; do dpkg-deb -x "$package" .; done
export LD_LIBRARY_PATH=$(dirname "$PWD"/usr/lib/*/libcurl.so.4)
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check h2==4.4.1 'httpx[http2]==0.28.1'
cat >server.py <<'END'
import socket
import threading

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived


def serve(client):
    h2 = H2Connection(H2Configuration(client_side=False))
    h2.initiate_connection()
    client.sendall(h2.data_to_send())
    while data := client.recv(65536):
        for event in h2.receive_data(data):
            if not isinstance(event, RequestReceived):
                continue
            if dict(event.headers)[b":path"] == b"/old":
                fields = [(":status", "303"), ("location", "/new")]
            else:
                fields = [(":status", "200")]
            h2.send_headers(event.stream_id, fields)
            h2.send_data(event.stream_id, b"ok\n", end_stream=True)
        client.sendall(h2.data_to_send())


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
END
v/bin/python server.py >port &
server=$!
until [ -s port ]; do sleep 0.1; done
url=http://127.0.0.1:$(cat port)
curl() { usr/bin/curl -s -o /dev/null -w '%{http_code}' --http2-prior-knowledge "$@" || echo " status $?"; }
{
  echo "a redirect: $(curl -L "$url/old")"
  echo "two URLs: $(curl "$url/new" "$url/new" -o /dev/null)"
  echo "two, by --next: $(curl "$url/new" --next -s -o /dev/null -w '%{http_code}' "$url/new")"
  v/bin/python -c "
import httpx
with httpx.Client(http1=False, http2=True, follow_redirects=True) as client:
    print('httpx:', client.get('$url/old').status_code, client.get('$url/new').status_code)"
} >seen
cat seen
[ "$(cat seen)" = 'a redirect: 303 status 16
two URLs: 200000 status 16
two, by --next: 200200
httpx: 200 200' ] || { echo 'it has changed'; exit 1; }
