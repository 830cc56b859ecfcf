#!/usr/bin/env bash
# Twisted's haproxy: endpoints close a connection that begins with PROXY UNKNOWN.
#
# The PROXY protocol, version 1, has the line "PROXY UNKNOWN\r\n" for clients of which the sender
# knows no address; HAProxy sends it for those of a unix socket, and to check health. A receiver
# should go on with the real peer. Twisted's wrapper closes the connection, and neither the protocol
# behind it nor the log hears of it; the long form, with addresses behind UNKNOWN, is taken.
# Seen with Twisted 26.10.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check Twisted==26.10.0
cat >"$folder/seen.py" <<'END'
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory

got = []

class Echo(Protocol):
    def dataReceived(self, data):
        got.append(data)

def outcome(line):
    del got[:]
    factory = HAProxyWrappingFactory(Factory.forProtocol(Echo))
    protocol = factory.buildProtocol(None)
    transport = StringTransportWithDisconnection()
    transport.protocol = protocol
    protocol.makeConnection(transport)
    protocol.dataReceived(line + b"hello")
    return "closed" if not transport.connected else f"goes on with {b''.join(got)!r}"

print("TCP4:", outcome(b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"))
print("UNKNOWN:", outcome(b"PROXY UNKNOWN\r\n"))
END
seen=$("$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = "TCP4: goes on with b'hello'
UNKNOWN: closed" ]
