#!/usr/bin/env bash
# CPython's asyncio: a unix socket whose listener has no room is said to be connected.
#
# Where the backlog of a listening unix socket is full, connect() of a socket that does not block
# fails with EAGAIN, and nothing is under way (Linux, connect(2): EINPROGRESS is for others).
# asyncio takes EAGAIN for EINPROGRESS, waits until the socket is writable, as an unconnected one is
# at once, finds no error, and calls connection_made(). It has no peer, and ends at its first use,
# with EINVAL or "Connection lost": a server that is merely busy looks like one that breaks
# connections off. uvloop raises BlockingIOError, which is what the kernel said.
# Seen with CPython 3.11.7, 3.12.1 and 3.13.0 on Linux; uvloop 0.23.0 beside them.
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

PATH = f"{sys.argv[1]}/server.sock"

async def dial():
    try:
        reader, writer = await asyncio.open_unix_connection(PATH)
    except OSError as error:
        return f"not connected, {type(error).__name__}"
    found = f"connected, peer {writer.get_extra_info('peername')!r}"
    writer.write(b"hello")
    try:
        await writer.drain()
        await reader.read()
    except OSError:
        found += ", broken off"
    return found

listening = socket.socket(socket.AF_UNIX)
listening.bind(PATH)
listening.listen(0)
first = socket.socket(socket.AF_UNIX)
first.connect(PATH)  # which takes the room that there is
for run in (asyncio.run, uvloop.run):
    print(f"{run.__module__.split('.')[0]}: {run(dial())}")
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py" "$folder" 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = 'asyncio: connected, peer None, broken off
uvloop: not connected, BlockingIOError' ] || { echo 'it has changed'; exit 1; }
