#!/usr/bin/env bash
# requests and urllib3: 103 Early Hints are taken for the answer.
#
# A client must be able to read interim responses before the final one, also such as it does not
# expect (RFC 9110, section 15.2). Python's http.client, which both stand on, passes over 100 alone:
# behind any other it gives status 103, the hints' fields and no body, and the answer itself is
# never read. raise_for_status() is content. httpx gives the answer.
# Seen with requests 2.34.2 and urllib3 2.8.0 on CPython 3.11.7 (and 3.13.0); httpx 0.28.1 beside
# it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  requests==2.34.2 urllib3==2.8.0 httpx==0.28.1
cat >"$folder/seen.py" <<'END'
import socket
from threading import Thread

import httpx
import requests
import urllib3

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"

def serve():
    while True:
        connection, _ = listening.accept()
        with connection:
            while b"\r\n\r\n" not in connection.recv(65536):
                pass
            connection.sendall(HINTS + ANSWER)

listening = socket.create_server(("127.0.0.1", 0))
Thread(target=serve, daemon=True).start()
url = "http://127.0.0.1:{}/".format(listening.getsockname()[1])

answer = httpx.get(url)
print("httpx:", answer.status_code, repr(answer.text))
answer = requests.get(url)
answer.raise_for_status()
print("requests:", answer.status_code, repr(answer.text))
answer = urllib3.request("GET", url)
print("urllib3:", answer.status, repr(answer.data.decode()))
END
seen=$("$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = "httpx: 200 'hello'
requests: 103 ''
urllib3: 103 ''" ] || { echo 'it has changed'; exit 1; }
