#!/usr/bin/env bash
# twisted.web: static.File ignores If-Range: a download that is resumed joins two files.
#
# Who has a part of a file asks for the rest with Range, and says in If-Range of which version its
# part is. Of another one the server must ignore Range, and send all of it (RFC 9110, section
# 13.1.5). static.File sends Last-Modified, which clients then say in If-Range, and Accept-Ranges;
# but it sends the asked part of whatever the file is now, with 206, and the client puts it behind
# what it has of the old one. starlette's files keep to the RFC.
# Seen with Twisted 26.10.0; starlette 1.10.0 beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  Twisted==26.10.0 starlette==1.10.0 httpx==0.28.1
cat >"$folder/seen.py" <<'END'
import http.client
import os
import sys
import threading

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from twisted.internet import reactor
from twisted.web import server, static

os.chdir(sys.argv[1])
os.mkdir("files")
port = reactor.listenTCP(0, server.Site(static.File("files")), interface="127.0.0.1")
threading.Thread(target=reactor.run, args=(False,), daemon=True).start()

def write(text, changed):
    with open("files/data", "w") as file:
        file.write(text)
    os.utime("files/data", (changed, changed))

def of_twisted(headers):
    connection = http.client.HTTPConnection("127.0.0.1", port.getHost().port)
    connection.request("GET", "/data", headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()

def of_starlette(headers):
    application = Starlette(routes=[Mount("/", StaticFiles(directory="files"))])
    answer = TestClient(application).get("/data", headers=headers)
    return answer.status_code, answer.headers, answer.text

for name, ask in (("twisted.web", of_twisted), ("starlette", of_starlette)):
    write("the old text", 1_700_000_000)
    _, fields, text = ask({})
    part = text[:8]
    write("THE NEW TEXT", 1_700_000_999)
    status, _, rest = ask({"Range": "bytes=8-", "If-Range": fields["Last-Modified"]})
    whole = part + rest if status == 206 else rest
    print(f"{name}: {status}, and the client has {whole!r}")
END
seen=$("$folder/venv/bin/python" "$folder/seen.py" "$folder" 2>/dev/null | tail -n 2)
printf '%s\n' "$seen"
[ "$seen" = "twisted.web: 206, and the client has 'the old TEXT'
starlette: 200, and the client has 'THE NEW TEXT'" ] || { echo 'it has changed'; exit 1; }
