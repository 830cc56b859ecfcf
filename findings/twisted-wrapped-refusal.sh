#!/usr/bin/env bash
# Twisted: behind TLS, haproxy: or a time-out a factory cannot refuse a connection any more.
#
# A factory whose buildProtocol() returns None has the connection closed (IProtocolFactory, and
# Factory.buildProtocol). WrappingFactory, on which Twisted's TLS, its haproxy: endpoints and its
# policies stand, wraps that None as if it were a protocol: an AttributeError is logged, and the
# client stays connected to nobody, until it sends something.
# Seen with Twisted 26.10.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check 'Twisted[tls]==26.10.0'
cat >"$folder/seen.py" <<'END'
import socket
import time

from twisted.internet import reactor, ssl
from twisted.internet.protocol import Factory
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from twisted.protocols.policies import TimeoutFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

class Refusing(Factory):
    noisy = False

    def buildProtocol(self, addr):
        return None

def outcome(factory):
    """What a client sees within half a second that says nothing."""
    factory.noisy = False
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    client = socket.create_connection(("127.0.0.1", port.getHost().port))
    client.setblocking(False)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        reactor.iterate(0.01)
        try:
            return f"closed, {client.recv(1)!r}"
        except BlockingIOError:
            pass
    return "stays connected"

print("itself:", outcome(Refusing()))
print("TimeoutFactory:", outcome(TimeoutFactory(Refusing(), 60)))
print("haproxy:", outcome(HAProxyWrappingFactory(Refusing())))
contexts = ssl.CertificateOptions()
print("TLS:", outcome(TLSMemoryBIOFactory(contexts, False, Refusing())))
END
seen=$("$folder/venv/bin/python" "$folder/seen.py" 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = "itself: closed, b''
TimeoutFactory: stays connected
haproxy: stays connected
TLS: stays connected" ] || { echo 'it has changed'; exit 1; }
