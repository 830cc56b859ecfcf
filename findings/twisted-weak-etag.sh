#!/usr/bin/env bash
# twisted.web: If-None-Match never matches a weak tag, nor any but the last of a list.
#
# If-None-Match has one tag or a list of them, with commas between, and compares weakly: W/"b" is as
# good as "b" (RFC 9110, section 13.1.2). Request.setETag() splits at white space and compares the
# words, so that a comma is a part of its tag. A proxy that compresses makes tags weak, as nginx
# does, and then a browser behind it never gets a 304. werkzeug reads them as they are meant.
# Seen with Twisted 26.10.0; werkzeug 3.1.9 beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check Twisted==26.10.0 werkzeug==3.1.9
cat >"$folder/seen.py" <<'END'
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web import resource, server
from werkzeug.http import is_resource_modified

class Page(resource.Resource):
    isLeaf = True

    def render_GET(self, request):
        return b"" if request.setETag(b'"b"') else b"all of it"

def status(value):
    site = server.Site(Page(), reactor=Clock())
    site.startFactory()
    channel, transport = site.buildProtocol(None), StringTransport()
    channel.makeConnection(transport)
    lines = ["GET / HTTP/1.1", "Host: a.example", "If-None-Match: " + value, "", ""]
    channel.dataReceived("\r\n".join(lines).encode())
    return transport.value().split()[1].decode()

for value in ('"b"', '"a", "b"', '"a", "b", "c"', 'W/"b"'):
    environ = {"REQUEST_METHOD": "GET", "HTTP_IF_NONE_MATCH": value}
    other = "200" if is_resource_modified(environ, etag="b") else "304"
    print(f"{value}: twisted.web {status(value)}, werkzeug {other}")
END
seen=$("$folder/venv/bin/python" "$folder/seen.py" 2>/dev/null | grep werkzeug)
printf '%s\n' "$seen"
[ "$seen" = '"b": twisted.web 304, werkzeug 304
"a", "b": twisted.web 304, werkzeug 304
"a", "b", "c": twisted.web 200, werkzeug 304
W/"b": twisted.web 200, werkzeug 304' ] || { echo 'it has changed'; exit 1; }
