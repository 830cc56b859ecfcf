#!/usr/bin/env bash
# Twisted's systemd: endpoints find no sockets where these have no names.
#
# A service manager passes sockets by LISTEN_PID and LISTEN_FDS; their names, in LISTEN_FDNAMES, may
# be missing, and each is called "unknown" then (sd_listen_fds(3)). systemd-socket-activate passes
# none unless told to, nor did systemd before 227. Twisted takes the number of names, 0, for an
# error, and says that nothing is passed: "systemd:domain=INET:index=0", which needs no name, raises
# IndexError. By then the variables are gone from the environment, so nobody else finds them either.
# Seen with Twisted 26.10.0 and systemd 252.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check Twisted==26.10.0
cat >"$folder/seen.py" <<'END'
from twisted.internet import endpoints, reactor  # what was passed is looked for here

def outcome():
    try:
        endpoints.serverFromString(reactor, "systemd:domain=INET:index=0")
    except IndexError as error:
        return f"IndexError: {error}"
    return "an endpoint"

print("Twisted:", outcome())
END
cat >"$folder/begin.py" <<'END'
"""Run a program as a service manager does: with a listening socket as descriptor 3."""
import ctypes
import os
import socket
import sys

names, *command = sys.argv[1:]
listening = socket.create_server(("127.0.0.1", 0))
os.dup2(os.dup(listening.fileno()), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
if names:
    os.environ["LISTEN_FDNAMES"] = names
found = ctypes.POINTER(ctypes.c_char_p)()
count = ctypes.CDLL("libsystemd.so.0").sd_listen_fds_with_names(0, ctypes.byref(found))
print(f"libsystemd: {count}, {found[0].decode()}", flush=True)
os.execv(command[0], command)
END
python=$folder/venv/bin/python
run() { "$python" "$folder/begin.py" "$1" "$python" "$folder/seen.py"; }
seen="with a name
$(run web)
without
$(run '')"
printf '%s\n' "$seen"
[ "$seen" = 'with a name
libsystemd: 1, web
Twisted: an endpoint
without
libsystemd: 1, unknown
Twisted: IndexError: list index out of range' ] || { echo 'it has changed'; exit 1; }
