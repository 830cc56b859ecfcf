"""
What the kernel knows of a TCP connection and no event tells.

Bytes that were given to the kernel are not yet bytes that a client has taken, and when the
last of them left is not written down by us. Linux tells both in C{TCP_INFO}.
"""

from __future__ import annotations

import socket
import struct

_INFO_SIZE = 152
# Offsets in struct tcp_info, and what is there.
_UNACKED, _LAST_DATA_SENT, _BYTES_ACKED, _NOT_SENT = 24, 44, 120, 144
_LONG = struct.Struct("=Q")
_INT = struct.Struct("=I")


def bytes_taken(transport: object) -> int | None:
    """How many bytes the peer has acknowledged since the connection began, if that is known."""
    info = _info(transport)
    if len(info) < _BYTES_ACKED + _LONG.size:
        return None
    number: int = _LONG.unpack_from(info, _BYTES_ACKED)[0]
    return number


def waits_for_peer(transport: object) -> bool:
    """Whether the kernel holds bytes that the peer has not taken. False where that is unknown."""
    return _waits(_info(transport))


def quiet_for(transport: object) -> float | None:
    """
    For how long nothing has been sent, in seconds, though the peer has taken what there was.

    0 while it has not; None where that is unknown.
    """
    info = _info(transport)
    if len(info) < _NOT_SENT + _INT.size:
        return None
    milliseconds: int = _INT.unpack_from(info, _LAST_DATA_SENT)[0]
    return 0.0 if _waits(info) else milliseconds / 1000


def _waits(info: bytes) -> bool:
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
