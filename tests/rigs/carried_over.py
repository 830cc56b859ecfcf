"""Requests of HTTP/1.1, from its corpora, in the words of HTTP/2: as wrong as they are there."""

from __future__ import annotations

from typing import NamedTuple

from tests.rigs.http2_client import Headers

CONNECTION_SPECIFIC = (
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"transfer-encoding",
    b"upgrade",
)


class CarriedOver(NamedTuple):
    """
    One request.

    @ivar fields: all of them.
    @ivar body: what its data are, by its Content-Length; None if it has none.
    @ivar said: HTTP/2 has what it says: nothing of the connection, no other form of its target.
    """

    fields: Headers
    body: bytes | None
    said: bool


def carried_over(request: bytes) -> CarriedOver | None:
    """What says what C{request} says; None if it is wrong in its lines, which HTTP/2 has not."""
    head, end, rest = request.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    parts = line.split(b" ")
    if not end or len(parts) != 3 or parts[2] != b"HTTP/1.1":
        return None
    fields: Headers = [(b":method", parts[0]), (b":scheme", b"http"), (b":path", parts[1])]
    body: bytes | None = None
    said = parts[1][:1] in (b"/", b"*")
    for each in lines:
        name, colon, value = each.partition(b":")
        if not colon:
            return None
        name, value = name.lower(), value[1:] if value[:1] == b" " else value
        fields.append((name, value))
        said = said and name not in CONNECTION_SPECIFIC and value == value.strip(b" \t")
        if name == b"content-length":
            body = rest[: int(value)] if value.isdigit() and len(value) < 9 else rest
    return CarriedOver(fields, body, said)
