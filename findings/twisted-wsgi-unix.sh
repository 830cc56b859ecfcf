#!/usr/bin/env bash
# twisted.web: a WSGIResource behind a unix socket answers 500 to everything.
#
# An application for WSGI is served by WSGIResource, a site on a unix socket by listenUNIX() or the
# endpoint unix:, which `twistd web --listen=unix:... --wsgi=...` puts together. For REMOTE_ADDR it
# takes the client's `host`, for SERVER_PORT our own `port`, and a UNIXAddress has neither: an
# AttributeError for each request. Other resources are served there, and other servers run the same
# application behind such a socket.
# Seen with Twisted 26.10.0; waitress 3.0.2 beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check Twisted==26.10.0 waitress==3.0.2
cat >"$folder/seen.py" <<'END'
import sys
from http.client import HTTPConnection
from socket import AF_UNIX, socket
from threading import Thread
from wsgiref.simple_server import demo_app

import waitress
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.web.server import Site
from twisted.web.static import Data
from twisted.web.wsgi import WSGIResource

def status(path):
    connection = HTTPConnection("a.example")
    connection.sock = socket(AF_UNIX)
    connection.sock.connect(path)
    connection.request("GET", "/")
    return connection.getresponse().status

paths = [f"{sys.argv[1]}/{name}" for name in ("data", "wsgi", "waitress")]
data, wsgi, other = paths
page = Data(b"hello", "text/plain")
page.isLeaf = True
pool = reactor.getThreadPool()
serverFromString(reactor, f"unix:{data}").listen(Site(page))
serverFromString(reactor, f"unix:{wsgi}").listen(Site(WSGIResource(reactor, pool, demo_app)))
server = waitress.create_server(demo_app, unix_socket=other)
Thread(target=server.run, daemon=True).start()

def ask():
    found = [status(path) for path in paths]
    print("twisted.web, bytes: {}; twisted.web, WSGI: {}; waitress, WSGI: {}".format(*found))
    reactor.callFromThread(reactor.stop)

reactor.callWhenRunning(lambda: Thread(target=ask, daemon=True).start())
reactor.run()
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py" "$folder" 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = 'twisted.web, bytes: 200; twisted.web, WSGI: 500; waitress, WSGI: 200' ] || {
  echo 'it has changed'
  exit 1
}
