#!/usr/bin/env bash
# wsproto: behind a ping within a compressed message the rest of it is delivered compressed.
#
# Control frames may come between the frames of a message (RFC 6455, section 5.4), and whether a
# message is compressed is told by its first frame alone (RFC 7692, section 6). PerMessageDeflate
# forgets it at a control frame: the application gets what follows as it is on the wire, and no
# error is raised; of a text it is mostly refused, being no UTF-8. wsproto's own client sends such
# frames when it is told to. Without the ping, or uncompressed, the message comes as it was sent.
# Seen with wsproto 1.3.2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check wsproto==1.3.2
cat >"$folder/seen.py" <<'END'
import zlib

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, Ping, Request
from wsproto.extensions import PerMessageDeflate

def got(compressed, ping):
    """What a server of wsproto gets of what a client of wsproto sends."""
    client, server = WSConnection(ConnectionType.CLIENT), WSConnection(ConnectionType.SERVER)
    def offer():
        return [PerMessageDeflate()] if compressed else []
    server.receive_data(client.send(Request(host="a.example", target="/", extensions=offer())))
    list(server.events())
    client.receive_data(server.send(AcceptConnection(extensions=offer())))
    list(client.events())
    data = client.send(BytesMessage(data=b"first ", message_finished=False))
    if ping:
        data += client.send(Ping())
    data += client.send(BytesMessage(data=b"second"))
    server.receive_data(data)
    found = b"".join(event.data for event in server.events() if isinstance(event, BytesMessage))
    if found == b"first second":
        return "the message"
    return "DEFLATE of " + repr(zlib.decompressobj(-15).decompress(found + b"\0\0\xff\xff"))

print("uncompressed, a ping:", got(False, True))
print("compressed, no ping:", got(True, False))
print("compressed, a ping:", got(True, True))
END
seen=$("$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = "uncompressed, a ping: the message
compressed, no ping: the message
compressed, a ping: DEFLATE of b'first second'" ] || { echo 'it has changed'; exit 1; }
