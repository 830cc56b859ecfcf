"""The protocols to which clients of a program may change, as C{Upgrade} names them."""

from __future__ import annotations

import os
from binascii import b2a_base64

from subproxy.wire.errors import MessageError
from subproxy.wire.fields import Headers, tunnel_token
from subproxy.wire.limits import MAX_TUNNEL_TOKEN

WEBSOCKET = b"websocket"

TLS = b"tls"
"""What no client asks for: TLS that the proxy passes through."""

_KEY = b"sec-websocket-key"


def parse_upgrade(text: str) -> bytes:
    """
    A protocol, C{NAME} or C{NAME/VERSION} (RFC 9110 section 7.8), in lower case.

    @raise ValueError: it is none; the reason is for a person.
    """
    try:
        return tunnel_token(text.lower().encode())
    except MessageError:
        raise ValueError(
            f"{text!r} is no protocol of at most {MAX_TUNNEL_TOKEN} bytes, such as tcp"
        ) from None


def upgrade_fields(protocol: bytes, headers: Headers) -> Headers:
    """
    The fields of a request that asks a program for C{protocol}.

    A client of HTTP/2 sends no C{Sec-WebSocket-Key} (RFC 8441 section 5), and programs that speak
    HTTP/1.1 refuse a WebSocket without. What they prove with it is not asked by anybody.
    """
    if protocol != WEBSOCKET or any(name.lower() == _KEY for name, _ in headers):
        return headers
    return [*headers, (b"Sec-WebSocket-Key", b2a_base64(os.urandom(16), newline=False))]
