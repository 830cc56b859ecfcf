#!/usr/bin/env bash
# CPython: a socket of AF_VSOCK takes no options but whole numbers, so that Twisted cannot abort.
#
# setsockopt() takes a number, None or bytes, and getsockopt() may give bytes. Of a socket whose
# family is AF_VSOCK they do neither, at any level: SO_LINGER, which is a structure, can't be set or
# read. Twisted's abortConnection() sets it, and what is raised is only logged: the socket stays
# open, and neither the peer nor the protocol hears of an end. An object of another family around
# the same descriptor takes all of it. To see it no vsock is opened: the object alone says so.
# Seen with CPython 3.10.13, 3.11.7 and 3.13.0, and Twisted 26.10.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check Twisted==26.10.0
cat >"$folder/seen.py" <<'END'
import select
import socket
import struct

from twisted.internet import reactor
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection

LINGER = struct.pack("ii", 1, 0)

def outcome(call):
    try:
        return call()
    except (TypeError, OSError) as error:
        return f"{type(error).__name__}: {error}"

def pair(family):
    ours, peer = socket.socketpair()
    return socket.socket(family, socket.SOCK_STREAM, 0, fileno=ours.detach()), peer

class Told(Protocol):
    ended = False

    def connectionLost(self, reason):
        self.ended = True

for family in (socket.AF_UNIX, socket.AF_VSOCK):
    ours, peer = pair(family)
    where = socket.SOL_SOCKET, socket.SO_LINGER
    print(f"{family.name} set:", outcome(lambda: ours.setsockopt(*where, LINGER)))
    print(f"{family.name} get:", outcome(lambda: len(ours.getsockopt(*where, 8))))
    ours, peer = pair(family)
    protocol = Told()
    connection = Connection(ours, protocol, reactor)
    connection.connected = True
    connection.startReading()
    connection.abortConnection()
    for _ in range(3):
        reactor.iterate(0)
    told = bool(select.select([peer], [], [], 0.2)[0])
    print(f"{family.name} aborted: the protocol is told {protocol.ended}, the peer {told}")
END
seen=$("$folder/venv/bin/python" "$folder/seen.py" 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = 'AF_UNIX set: None
AF_UNIX get: 8
AF_UNIX aborted: the protocol is told True, the peer True
AF_VSOCK set: TypeError: setsockopt() argument 3 must be int, not bytes
AF_VSOCK get: OSError: getsockopt string buffer not allowed
AF_VSOCK aborted: the protocol is told False, the peer False' ] || {
  echo 'it has changed'
  exit 1
}
