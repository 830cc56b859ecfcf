"""
What a guest may say to a client: the check of a response, before a byte of it is written.

A guest is hostile input. It names a status, a phrase and fields; the proxy owns framing
(C{Content-Length} is only a promise that the body is held to, C{Transfer-Encoding} is
never the guest's), the connection, and the characters. What is merely of no use to the
client is dropped; what would mislead it is refused with L{GuestMisbehaved}.

Compiled a second time: L{subproxy.fastpath._response} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections.abc import Iterable

from subproxy.core.http.fields import (
    BODILESS,
    DIGITS,
    FIELD_VALUE,
    HOP_BY_HOP,
    MAX_LENGTH,
    MAX_REASON,
    MAX_RESPONSE_FIELDS,
    MAX_RESPONSE_HEAD,
    NOT_IN_TRAILERS,
    REASON,
    REQUEST_ID,
    TOKEN,
)
from subproxy.errors import GuestMisbehaved
from subproxy.wire.values import record_class

Headers = list[tuple[bytes, bytes]]

_TAKEN = dict.fromkeys(HOP_BY_HOP | {REQUEST_ID, b"content-length"})


@record_class
class ResponseHead:
    """
    A response head that may be written to a client.

    @ivar status: 100 to 599.
    @ivar reason: the phrase; may be empty.
    @ivar headers: end-to-end fields in order, without C{Content-Length}.
    @ivar length: the body's length in bytes if the guest told it, else None. For a bodiless
        response it is only what C{Content-Length} would have been.
    @ivar nominated: what C{Connection} said to be of that connection alone, in lower case: dropped
        also where it is a trailer.
    @ivar bodiless: no body follows, whatever C{length} says (HEAD, 1xx, 204, 205, 304).
    @ivar large: the guest has said that the body is, of whatever length.
    """

    status: int
    reason: bytes
    headers: Headers
    length: int | None = None
    bodiless: bool = False
    nominated: frozenset[bytes] = frozenset()
    large: bool = False


def check_response(
    method: bytes, status: int, reason: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> ResponseHead:
    """
    Check a final response head, and take from it what is not the guest's.

    @raise GuestMisbehaved: it is not a well-formed final response.
    """
    if not 200 <= status <= 599:
        raise GuestMisbehaved(f"{status} is not a status of a final response")
    head = _check(status, reason, headers)
    if method == b"HEAD" or status in BODILESS:
        head.bodiless = True
    return head


def check_interim(status: int, headers: Iterable[tuple[bytes, bytes]]) -> ResponseHead:
    """
    Check an interim response head: 1xx, but never 101, which would hand the connection over.

    @raise GuestMisbehaved: it is not a well-formed interim response.
    """
    if not 100 <= status <= 199 or status == 101:
        raise GuestMisbehaved(f"{status} is not a status of an interim response")
    head = _check(status, b"", headers)
    head.length = None
    head.bodiless = True
    return head


def check_trailers(
    trailers: Iterable[tuple[bytes, bytes]], nominated: frozenset[bytes] = frozenset()
) -> Headers:
    """
    Check the trailers of a response; fields that mean nothing there are dropped.

    @param nominated: names that go no further (see L{ResponseHead}).
    @raise GuestMisbehaved: they are malformed or too large.
    """
    kept: Headers = []
    size = 0
    for name, value in trailers:
        _check_field(name, value)
        size += len(name) + len(value)
        lower = name.lower()
        if lower not in NOT_IN_TRAILERS and lower not in nominated:
            kept.append((name, value.strip(b" \t")))
    if size > MAX_RESPONSE_HEAD or len(kept) > MAX_RESPONSE_FIELDS:
        raise GuestMisbehaved("the trailers are too large")
    return kept


def _check(status: int, reason: bytes, headers: Iterable[tuple[bytes, bytes]]) -> ResponseHead:
    if reason and (len(reason) > MAX_REASON or reason.translate(None, REASON)):
        raise GuestMisbehaved("the reason phrase holds what may not stand there")
    kept: Headers = []
    length: int | None = None
    nominated = _NOTHING
    size = 0
    for pair in headers:
        name, value = pair
        if not name or name.translate(None, TOKEN) or value.translate(None, FIELD_VALUE):
            _check_field(name, value)
        size += len(name) + len(value)
        lower = name.lower()
        if lower not in _TAKEN:
            if value[:1] in _BLANK or value[-1:] in _BLANK:
                pair = (name, value.strip(b" \t"))
            kept.append(pair)
        elif lower == b"content-length":
            length = _length(value, length)
        elif lower == b"connection":
            nominated |= {option.strip(b" \t") for option in value.lower().split(b",")}
    if size > MAX_RESPONSE_HEAD or len(kept) > MAX_RESPONSE_FIELDS:
        raise GuestMisbehaved("the response head is too large")
    if nominated:
        kept = [pair for pair in kept if pair[0].lower() not in nominated]
    return ResponseHead(status, reason, kept, length, nominated=nominated)


_BLANK = (b" ", b"\t")
_NOTHING: frozenset[bytes] = frozenset()
"""One for all: each takes 216 bytes."""


def _check_field(name: bytes, value: bytes) -> None:
    if not name or name.translate(None, TOKEN):
        raise GuestMisbehaved(f"{_shown(name)} is not a field name")
    if value.translate(None, FIELD_VALUE):
        raise GuestMisbehaved(f"the value of {_shown(name)} holds what may not stand there")


def _length(value: bytes, before: int | None) -> int:
    value = value.strip(b" \t")
    if not value or value.translate(None, DIGITS) or len(value) > 19:
        raise GuestMisbehaved(f"{_shown(value)} is not a content-length")
    length = int(value)
    if length > MAX_LENGTH:
        raise GuestMisbehaved(f"{_shown(value)} is not a content-length")
    if before is not None and before != length:
        raise GuestMisbehaved(f"two values of content-length: {before} and {length}")
    return length


def _shown(text: bytes) -> str:
    return repr(text[:40])[1:]
