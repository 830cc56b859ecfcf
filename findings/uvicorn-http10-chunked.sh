#!/usr/bin/env bash
# uvicorn with httptools: a client of HTTP/1.0 gets chunks, and reads their sizes as content.
#
# A server must not send Transfer-Encoding in reply to HTTP/1.0 (RFC 9112, section 6.1): such an
# answer, if its length is not known, ends with the connection. uvicorn[standard] takes httptools,
# and cuts every answer without Content-Length into chunks, whoever asked, and says so in a field
# that HTTP/1.0 does not know. HAProxy's `option httpchk` asks so, and ab does. With h11 in its
# place, which uvicorn takes where httptools is not installed, the text comes as it is.
# Seen with uvicorn 0.54.0 and httptools 0.9.0; h11 0.16.0 beside them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0
cat >"$folder/seen.py" <<'END'
import asyncio
import socket

import uvicorn

async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for text in (b"one ", b"two"):
        await send({"type": "http.response.body", "body": text, "more_body": text != b"two"})

async def main(parser):
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, http=parser, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listening]))
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    head, _, content = (await reader.read()).partition(b"\r\n\r\n")
    print(f"{parser}: chunked {b'chunked' in head}, {content}")
    writer.close()
    server.should_exit = True
    await task

for parser in ("h11", "httptools"):
    asyncio.run(main(parser))
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = "h11: chunked False, b'one two'
httptools: chunked True, b'4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n'" ] || {
  echo 'it has changed'
  exit 1
}
