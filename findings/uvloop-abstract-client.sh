#!/usr/bin/env bash
# uvloop: it listens on an abstract unix socket, and cannot dial one.
#
# asyncio's documentation says of create_unix_connection(), as of create_unix_server(), that
# abstract sockets are supported: the path begins with NUL (unix(7)). uvloop, a "drop-in replacement
# of the built-in asyncio event loop", hands the path to libuv as a string that ends at the first
# NUL: it dials nothing, and raises EINVAL whoever listens. What has been connected beforehand, and
# is given as sock=, is taken.
# Seen with uvloop 0.23.0 on CPython 3.11.7.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvloop==0.23.0
cat >"$folder/seen.py" <<'END'
import asyncio
import socket
import sys

import uvloop

async def greet(reader, writer):
    writer.write(b"hello")
    writer.close()

async def said(**way):
    try:
        reader, writer = await asyncio.open_unix_connection(**way)
    except OSError as error:
        return error.strerror
    found = await reader.read()
    writer.close()
    return found.decode()

async def main(path):
    server = await asyncio.start_unix_server(greet, path)
    beforehand = socket.socket(socket.AF_UNIX)
    beforehand.connect(path)
    return await said(path=path), await said(sock=beforehand)

for run in (asyncio.run, uvloop.run):
    name = run.__module__.split(".")[0]
    for kind, first in (("a file", ""), ("abstract", "\0")):
        dialled, taken = run(main(f"{first}{sys.argv[1]}/{name}"))
        print(f"{name}, {kind}: dialled {dialled}, connected beforehand {taken}")
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py" "$folder")
printf '%s\n' "$seen"
[ "$seen" = 'asyncio, a file: dialled hello, connected beforehand hello
asyncio, abstract: dialled hello, connected beforehand hello
uvloop, a file: dialled hello, connected beforehand hello
uvloop, abstract: dialled Invalid argument, connected beforehand hello' ] || {
  echo 'it has changed'
  exit 1
}
