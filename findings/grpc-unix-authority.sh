#!/usr/bin/env bash
# grpcio: over a unix socket it names the path as the host, which hyper's servers do not take.
#
# :authority of HTTP/2 is the host that is asked for (RFC 9113, section 8.3.1), and gRPC's "virtual
# host name of the service" (PROTOCOL-HTTP2.md). A socket has none, and of "unix:/run/a.sock" grpcio
# makes "run%2Fa.sock". A host may hold percent-encoding (RFC 3986, section 3.2.2); a server that
# knows hosts by their names knows no such one, and h2 of Rust, on which granian and tonic stand,
# resets the stream with PROTOCOL_ERROR: every call is INTERNAL. grpclib says "127.0.0.1:50051" to
# the same socket. The option grpc.default_authority names a host.
# Seen with grpcio 1.85.3, grpclib 0.4.9 and granian 2.8.9.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check grpcio==1.85.3 grpclib==0.4.9 granian==2.8.9
cat >application.py <<'END'
FIELDS = [(b"content-type", b"application/grpc"), (b"grpc-status", b"12")]

async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": FIELDS})
        await send({"type": "http.response.body"})
END
cat >seen.py <<'END'
import asyncio
import os
import time

import grpc
from grpclib.client import Channel
from grpclib.const import Cardinality
from grpclib.exceptions import GRPCError
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

AUTHORITY = [("grpc.default_authority", "a.example")]
PATH = os.path.abspath("told.sock")

def by_grpcio(path, options=()):
    with grpc.insecure_channel(f"unix:{path}", options=options) as channel:
        try:
            channel.unary_unary("/a.Service/Method", bytes, bytes)(b"", timeout=20)
        except grpc.RpcError as error:
            return error.code().name

async def by_grpclib():
    channel = Channel(path=PATH)
    try:
        async with channel.request(
            "/a.Service/Method", Cardinality.UNARY_UNARY, bytes, bytes, timeout=20
        ) as stream:
            await stream.send_request()
            await stream.recv_initial_metadata()
    except GRPCError:
        pass
    channel.close()

async def tell(reader, writer):
    """Answer that there is no such method, and remember the host."""
    connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    connection.initiate_connection()
    fields = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "12")]
    while True:
        writer.write(connection.data_to_send())
        data = await reader.read(65536)
        if not data:
            return
        for event in connection.receive_data(data):
            if isinstance(event, RequestReceived):
                told.append(dict(event.headers)[":authority"])
                connection.send_headers(event.stream_id, fields, end_stream=True)

async def main():
    await asyncio.start_unix_server(tell, PATH)
    await asyncio.to_thread(by_grpcio, PATH)
    await asyncio.to_thread(by_grpcio, PATH, AUTHORITY)
    await by_grpclib()

told = []
asyncio.run(main())
path = PATH.removeprefix("/").replace("/", "%2F")
told = [host.replace(path, "the path, encoded") for host in told]
print(f"grpcio: {told[0]}; with the option: {told[1]}; grpclib: {told[2]}")
for tried in range(300):
    if os.path.exists("granian.sock"):
        break
    time.sleep(0.1)
path = os.path.abspath("granian.sock")
print(f"granian answers grpcio {by_grpcio(path)}; with the option {by_grpcio(path, AUTHORITY)}")
END
venv/bin/granian --interface=asginl --http=2 --uds=granian.sock application:application \
  >server.log 2>&1 &
server=$!
seen=$(timeout 90 venv/bin/python seen.py 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = 'grpcio: the path, encoded; with the option: a.example; grpclib: 127.0.0.1:50051
granian answers grpcio INTERNAL; with the option UNIMPLEMENTED' ] || {
  echo 'it has changed'
  exit 1
}
