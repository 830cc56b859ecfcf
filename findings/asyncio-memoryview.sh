#!/usr/bin/env bash
# CPython's asyncio: of a memoryview whose items are no bytes a part is never sent.
#
# transport.write() takes bytes-like objects, so does StreamWriter.write(), and array.array and
# numpy's arrays give a memoryview of their items. What the socket does not take at once is cut by
# the number of bytes that it took, as if it were a number of items: where these have four bytes,
# three times as much as was sent is skipped. Up to 3.11 nothing is raised; 3.12 and 3.13.0 log an
# error, and end the connection. uvloop, in its place, sends what it was given, and what is cast to
# bytes (memoryview.cast("B")) is sent whole. Newer releases are said to do that (gh-135862).
# Seen with CPython 3.8.18, 3.10.13, 3.11.7, 3.12.1 and 3.13.0; uvloop 0.23.0 beside them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvloop==0.23.0
cat >"$folder/seen.py" <<'END'
import array
import asyncio
import logging
import socket

import uvloop

SENT = array.array("I", range(1 << 20))

async def received(view):
    ours, peer = socket.socketpair()
    reader, kept = await asyncio.open_connection(sock=peer)
    unread, writer = await asyncio.open_connection(sock=ours)
    writer.write(view)
    writer.write_eof()
    found = await reader.read()
    kept.close()
    return found

def what(run, view):
    found = run(received(view))
    return "all" if found == SENT.tobytes() else "less" if len(found) < 4 * len(SENT) else "other"

logging.disable()
for run in (asyncio.run, uvloop.run):
    items, octets = (what(run, view) for view in (memoryview(SENT), memoryview(SENT).cast("B")))
    print(f"{run.__module__.split('.')[0]}: of items of four bytes {items}, of bytes {octets}")
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py" 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = 'asyncio: of items of four bytes less, of bytes all
uvloop: of items of four bytes all, of bytes all' ] || { echo 'it has changed'; exit 1; }
