#!/usr/bin/env bash
# uvloop: a transport goes on only when all but 16 bytes of its buffer have gone, not 16 KiB.
#
# Above a high-water mark a transport says pause_writing(), and at a low-water mark
# resume_writing(), for which StreamWriter.drain() waits. asyncio's defaults are 64 and 16 KiB.
# uvloop gives 65536 and 16 for a new transport, and 65536 and 16384 once set_write_buffer_limits()
# has been called without arguments, which asks for the defaults. Until then who waits for room is
# asked for more only when there is nothing left to send.
# Seen with uvloop 0.23.0 on CPython 3.11.7.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvloop==0.23.0
cat >"$folder/seen.py" <<'END'
import asyncio
import socket

import uvloop

async def limits():
    ours, peer = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    new = transport.get_write_buffer_limits()
    transport.set_write_buffer_limits()
    default = transport.get_write_buffer_limits()
    transport.close()
    peer.close()
    return f"new {new}, the defaults {default}"

print("asyncio:", asyncio.run(limits()))
print("uvloop:", uvloop.run(limits()))
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = 'asyncio: new (16384, 65536), the defaults (16384, 65536)
uvloop: new (16, 65536), the defaults (16384, 65536)' ] || { echo 'it has changed'; exit 1; }
