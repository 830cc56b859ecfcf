"""
The tables of the compiled path, made from L{subproxy.core.fields}: the rules are described there.

What a field of a request or a response means here is one of the kinds below. Characters are
classes in one byte each, so that one look at a byte answers every question about it.
"""

from __future__ import annotations

from typing import Final

from subproxy.core.fields import (
    FIELD_VALUE,
    FORWARDING,
    FORWARDING_DROPPED,
    HOP_BY_HOP,
    METHODS,
    PHRASES,
    REQUEST_ID,
    TARGET,
    TOKEN,
)

KEEP: Final = 0
"""It goes on as it came."""
DROP: Final = 1
"""It goes no further."""
ODD: Final = 2
"""It makes the message one for the Python path."""
HOST: Final = 3
LENGTH: Final = 4
CONNECTION: Final = 5
AGENT: Final = 6
"""Kept, and in the access log."""
REFERER: Final = 7
"""Likewise."""
DATE: Final = 8
"""Kept, and then none is added."""

REQUEST_KINDS: Final[dict[bytes, int]] = {
    **dict.fromkeys(HOP_BY_HOP | FORWARDING | FORWARDING_DROPPED | {REQUEST_ID}, DROP),
    b"host": HOST,
    b"content-length": LENGTH,
    b"connection": CONNECTION,
    b"transfer-encoding": ODD,
    b"upgrade": ODD,
    b"expect": ODD,
    b"user-agent": AGENT,
    b"referer": REFERER,
}
"""Of a request by a peer that is not trusted."""

RESPONSE_KINDS: Final[dict[bytes, int]] = {
    **dict.fromkeys(HOP_BY_HOP | {REQUEST_ID}, DROP),
    b"content-length": LENGTH,
    b"connection": ODD,
    b"date": DATE,
}

IS_TOKEN: Final = 1
IS_TARGET: Final = 2
IS_PLAIN: Final = 4
"""Goes into the access log as it is."""
IS_UNDERSCORE: Final = 8
IS_VALUE: Final = 16

PLAIN: Final = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\')

CLASSES: Final = bytes(
    IS_TOKEN * (byte in TOKEN)
    | IS_TARGET * (byte in TARGET)
    | IS_PLAIN * (byte in PLAIN)
    | IS_UNDERSCORE * (byte == ord("_"))
    | IS_VALUE * (byte in FIELD_VALUE)
    for byte in range(256)
)

METHOD_KINDS: Final[dict[bytes, int]] = dict.fromkeys(METHODS, 1)

STATUS_LINES: Final[tuple[bytes, ...]] = tuple(
    b"HTTP/1.1 %d %b\r\n" % (status, PHRASES.get(status, b"")) for status in range(600)
)
