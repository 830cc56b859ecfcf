"""
The tables of the compiled path, made from L{subproxy.core.http.fields}: the rules are described
there.

What a field of a request or a response means here is one of the kinds below. Characters are
classes in one byte each, so that one look at a byte answers every question about it.
"""

from __future__ import annotations

from typing import Final

from subproxy.core.http.fields import (
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
from subproxy.core.http.request_id import ALLOWED as ID_ALLOWED

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
UPGRADE: Final = 9
"""Goes no further; if it is no C{h2c}, which is never taken here, and no plain handshake of a
WebSocket, the request is not plain."""
TE: Final = 10
"""Goes no further; and its client takes trailers, if it says that."""
WEBSOCKET_KEY: Final = 11
"""Kept, and a part of the handshake of a WebSocket."""
WEBSOCKET_VERSION: Final = 12
"""Likewise."""
CLAIMED: Final = 13
"""Kept from a trusted peer, dropped from any other; as are those that follow."""
SENT_FOR: Final = 14
SENT_PROTO: Final = 15
SENT_HOST: Final = 16
SENT_PORT: Final = 17
SENT_FORWARDED: Final = 18
SENT_VIA: Final = 19
SENT_ID: Final = 20
WEBSOCKET_ACCEPT: Final = 21
"""Kept; but where a tunnel begins the proxy's own stands for it."""

REQUEST_KINDS: Final[dict[bytes, int]] = {
    **dict.fromkeys(HOP_BY_HOP, DROP),
    **dict.fromkeys(FORWARDING, ODD),
    **dict.fromkeys(FORWARDING_DROPPED, CLAIMED),
    b"x-forwarded-for": SENT_FOR,
    b"x-forwarded-proto": SENT_PROTO,
    b"x-forwarded-host": SENT_HOST,
    b"x-forwarded-port": SENT_PORT,
    b"forwarded": SENT_FORWARDED,
    b"via": SENT_VIA,
    REQUEST_ID: SENT_ID,
    b"host": HOST,
    b"content-length": LENGTH,
    b"connection": CONNECTION,
    b"transfer-encoding": ODD,
    b"upgrade": UPGRADE,
    b"sec-websocket-key": WEBSOCKET_KEY,
    b"sec-websocket-version": WEBSOCKET_VERSION,
    b"te": TE,
    b"expect": ODD,
    b"max-forwards": ODD,
    b"user-agent": AGENT,
    b"referer": REFERER,
}
"""Of a request."""

RESPONSE_KINDS: Final[dict[bytes, int]] = {
    **dict.fromkeys(HOP_BY_HOP | {REQUEST_ID}, DROP),
    b"content-length": LENGTH,
    b"connection": ODD,
    b"date": DATE,
    b"sec-websocket-accept": WEBSOCKET_ACCEPT,
}

IS_TOKEN: Final = 1
IS_TARGET: Final = 2
IS_PLAIN: Final = 4
"""Goes into the access log as it is."""
IS_UNDERSCORE: Final = 8
IS_VALUE: Final = 16
IS_ID: Final = 32
"""May stand in a request id that a trusted peer sent."""

PLAIN: Final = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\')

CLASSES: Final = bytes(
    IS_TOKEN * (byte in TOKEN)
    | IS_TARGET * (byte in TARGET)
    | IS_PLAIN * (byte in PLAIN)
    | IS_UNDERSCORE * (byte == ord("_"))
    | IS_VALUE * (byte in FIELD_VALUE)
    | IS_ID * (byte in ID_ALLOWED)
    for byte in range(256)
)

METHOD_KINDS: Final[dict[bytes, int]] = dict.fromkeys(METHODS, 1)

STATUS_LINES: Final[tuple[bytes, ...]] = tuple(
    b"HTTP/1.1 %d %b\r\n" % (status, PHRASES.get(status, b"")) for status in range(600)
)
