"""
What the kernel knows of a TCP connection and no event tells.

A client that closes and one that only has nothing more to send look the same until
something is written to it; and bytes that were given to the kernel are not yet bytes
that a client has taken. Linux tells both in C{TCP_INFO}.
"""

from __future__ import annotations

import socket
import struct

_TCP_CLOSE = 7
_INFO_SIZE = 152
# Offsets in struct tcp_info, and what is there.
_UNACKED, _BYTES_ACKED, _NOT_SENT = 24, 120, 144
_LONG = struct.Struct("=Q")
_INT = struct.Struct("=I")


def is_reset(transport: object) -> bool:
    """Whether the peer has reset the connection. False where that can't be known."""
    info = _info(transport)
    return bool(info) and info[0] == _TCP_CLOSE


def bytes_taken(transport: object) -> int | None:
    """How many bytes the peer has acknowledged since the connection began, if that is known."""
    info = _info(transport)
    if len(info) < _BYTES_ACKED + _LONG.size:
        return None
    number: int = _LONG.unpack_from(info, _BYTES_ACKED)[0]
    return number


def waits_for_peer(transport: object) -> bool:
    """Whether the kernel holds bytes that the peer has not taken. False where that is unknown."""
    info = _info(transport)
    if len(info) < _NOT_SENT + _INT.size:
        return False
    return bool(_INT.unpack_from(info, _UNACKED)[0] or _INT.unpack_from(info, _NOT_SENT)[0])


def _info(transport: object) -> bytes:
    get_handle = getattr(transport, "getHandle", None)
    if get_handle is None:
        return b""
    try:
        handle = get_handle()
        if handle.family not in (socket.AF_INET, socket.AF_INET6):
            return b""
        info: bytes = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
    except (OSError, AttributeError):
        return b""
    return info
