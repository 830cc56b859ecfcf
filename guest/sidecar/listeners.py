"""Where the processes of a group listen: for who has told us another port."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path

_LISTEN = "0A"
"""The state of a listening socket in C{/proc/net/tcp}: C{TCP_LISTEN} of the kernel."""

_TABLES = ("tcp", "tcp6")


def listeners(group: int, proc: Path = Path("/proc")) -> list[str]:
    """
    The TCP addresses at which the processes of a group listen, as text: C{127.0.0.1:5173}.

    @param proc: where the system tells it; what may not be read there is left out.
    """
    sockets = {inode for pid in _members(group, proc) for inode in _sockets(proc / pid / "fd")}
    found = {
        address
        for table in _TABLES
        for address, inode in _listening(proc / "net" / table)
        if inode in sockets
    }
    return sorted(found)


def _members(group: int, proc: Path) -> Iterator[str]:
    for entry in os.listdir(proc):
        if entry.isdigit():
            try:
                status = (proc / entry / "stat").read_text(errors="replace")
            except OSError:  # it has ended
                continue
            # Behind the name, which may hold anything: state, parent, group.
            if int(status.rpartition(")")[2].split()[2]) == group:
                yield entry


def _sockets(folder: Path) -> Iterator[str]:
    try:
        names = os.listdir(folder)
    except OSError:  # it has ended, or is another user
        return
    for name in names:
        try:
            target = os.readlink(folder / name)
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


def _listening(table: Path) -> Iterator[tuple[str, str]]:
    """Address and inode of each listening socket of a table."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:  # no IPv6, say
        return
    for line in lines:
        words = line.split()
        if words[3] == _LISTEN:
            address, _, port = words[1].partition(":")
            yield _shown(address, int(port, 16)), words[9]


def _shown(address: str, port: int) -> str:
    # Words of 32 bits, each in the order of this machine; all of them are little-endian here.
    raw = bytes.fromhex(address)
    packed = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    host = ipaddress.ip_address(packed)
    return f"[{host}]:{port}" if len(packed) == 16 else f"{host}:{port}"
