#!/usr/bin/env bash
# twisted.web: the log's dates are of the reactor's clock, not of the time of day.
#
# HTTPFactory formats the date of its access log from reactor.seconds(). IReactorTime says only that
# this is a number of seconds; with a reactor whose clock is monotonic, which later releases may
# bring and any program can set, every line is of 1970 or so, and nothing says so.
# Seen with Twisted 26.10.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check Twisted==26.10.0
cat >"$folder/seen.py" <<'END'
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web import resource, server

clock = Clock()
clock.advance(5.0)  # the machine is up for five seconds
dates = []
site = server.Site(
    resource.Resource(), reactor=clock, logFormatter=lambda date, request: dates.append(date) or ""
)
site.startFactory()
channel = site.buildProtocol(None)
channel.makeConnection(StringTransport())
channel.dataReceived(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
print("a request of today is logged with", dates[0])
END
seen=$("$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$(tail -n 1 <<<"$seen")" = 'a request of today is logged with [01/Jan/1970:00:00:05 +0000]' ]
