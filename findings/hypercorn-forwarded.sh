#!/usr/bin/env bash
# hypercorn: its ProxyFixMiddleware takes the quotes of Forwarded for a part of what they hold.
#
# In Forwarded a value may be a quoted string, and an IPv6 address, or whatever has a port, must be
# one; the names of parameters are of any case (RFC 7239, sections 4 and 6). With mode="modern"
# hypercorn gives the application quotes within the client's address and within Host, and leaves out
# what is not written in small letters. aiohttp reads all of it. Two of these are the RFC's
# examples.
# Seen with hypercorn 0.18.0; aiohttp 3.14.5 beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check hypercorn==0.18.0 aiohttp==3.14.5
cat >"$folder/seen.py" <<'END'
import asyncio

from aiohttp.test_utils import make_mocked_request
from hypercorn.middleware import ProxyFixMiddleware

async def application(scope, receive, send):
    print("hypercorn:", scope["client"][0], dict(scope["headers"])[b"host"].decode())

for value in (
    "for=192.0.2.60;proto=http;by=203.0.113.43",
    'for="[2001:db8:cafe::17]";host="a.example:8080"',
    'For="[2001:db8:cafe::17]:4711"',
):
    print(value)
    scope = {
        "type": "http", "client": ("198.51.100.1", 80), "scheme": "http",
        "headers": [(b"host", b"10.0.0.5"), (b"forwarded", value.encode())],
    }
    asyncio.run(ProxyFixMiddleware(application, mode="modern")(scope, None, None))
    (found,) = make_mocked_request("GET", "/", headers={"Forwarded": value}).forwarded
    print("aiohttp:", found["for"], found.get("host", "10.0.0.5"))
END
seen=$("$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = 'for=192.0.2.60;proto=http;by=203.0.113.43
hypercorn: 192.0.2.60 10.0.0.5
aiohttp: 192.0.2.60 10.0.0.5
for="[2001:db8:cafe::17]";host="a.example:8080"
hypercorn: "[2001:db8:cafe::17]" "a.example:8080"
aiohttp: [2001:db8:cafe::17] a.example:8080
For="[2001:db8:cafe::17]:4711"
hypercorn: 198.51.100.1 10.0.0.5
aiohttp: [2001:db8:cafe::17]:4711 10.0.0.5' ] || { echo 'it has changed'; exit 1; }
