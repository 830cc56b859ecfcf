"""C{vsock:CID:PORT}: where a proxy is, in a machine."""

from __future__ import annotations

import socket

AF_VSOCK = int(getattr(socket, "AF_VSOCK", 40))
HOST_CID = 2


def parse_cid_port(description: str) -> tuple[int, int] | None:
    """
    The numbers in C{vsock:CID:PORT}, or C{vsock:PORT} for the host; None for another endpoint.

    @raise ValueError: it is one, but not well-formed.
    """
    kind, _, rest = description.partition(":")
    if kind != "vsock":
        return None
    parts = rest.split(":")
    if not all(each.isdecimal() for each in parts) or len(parts) > 2:
        raise ValueError(f"{description}: expected vsock:CID:PORT, with numbers")
    cid, port = (HOST_CID, int(parts[0])) if len(parts) == 1 else map(int, parts)
    if max(cid, port) >= 2**32:
        raise ValueError(f"{description}: a CID and a port have 32 bits")
    return cid, port
