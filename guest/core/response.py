"""What an application answers. Imports no framework."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping

from guest.core.files import open_file
from subproxy.wire.fields import Headers
from subproxy.wire.limits import MAX_HEADER_BYTES, MAX_HEADERS

Fields = Iterable[tuple[bytes, bytes]] | Mapping[bytes, bytes]
Body = bytes | Iterable[bytes] | AsyncIterable[bytes]

_TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
BODILESS = frozenset({204, 205, 304})
"""Statuses whose responses have no body."""


class Response:
    """
    One response.

    C{Content-Length} need not be given: the length of bytes is known, and a stream is sent
    without. If it is given it must be right. Hop-by-hop fields are the proxy's, not yours.

    @ivar status: 200 to 599. (For interim ones there is C{Request.interim}.)
    @ivar headers: pairs of name and value, bytes. A dictionary is taken too, for fields that
        come once.
    @ivar body: bytes; or an iterable of bytes, pulled only as the client takes them; or
        an asynchronous iterable of bytes. If it has C{close} or C{aclose}, that is
        called at the end, also when the client has left.
    @ivar trailers: pairs that follow the body; or a function that returns them, called when
        the body has been sent (for a digest, say).
    @ivar reason: the reason phrase; None for that of the status.
    @ivar bulk: the body is a long stream, though its length is not told: let it have a
        connection of its own. (Where the length is known, that is decided by it.)
    """

    __slots__ = ("body", "bulk", "headers", "reason", "status", "trailers")

    def __init__(
        self,
        status: int = 200,
        headers: Fields = (),
        body: Body = b"",
        trailers: Fields | Callable[[], Fields] = (),
        reason: bytes | None = None,
        bulk: bool = False,
    ) -> None:
        self.status = status
        self.headers: Headers = field_list(headers)
        self.body = body
        self.trailers = trailers
        self.reason = reason
        self.bulk = bulk

    def __repr__(self) -> str:
        return f"<Response {self.status}>"

    @classmethod
    def file(cls, path: str | os.PathLike[str], headers: Fields = ()) -> Response:
        """
        A file: 200, with C{ETag}, C{Last-Modified} and a type by its name.

        When it is sent, it becomes 304, 412, 206 or 416 if the request has conditions or
        a range that want it so (RFC 9110, sections 13 and 14).

        @param headers: further fields; one of a name that is set here takes its place.
        @raise OSError: it can't be opened, or is not a regular file.
        """
        body, fields = open_file(path)
        more = field_list(headers)
        given = {name.lower() for name, _ in more}
        return cls(200, [*(each for each in fields if each[0] not in given), *more], body)

    def checked(self) -> int | None:
        """
        Check the head.

        @return: the value of C{Content-Length}, or None.
        @raise TypeError: something is not bytes.
        @raise ValueError: HTTP or the wire do not allow it (RFC 9110, sections 5 and 15).
        """
        if type(self.status) is not int or not 200 <= self.status <= 599:
            raise ValueError(f"a status is an integer from 200 to 599, not {self.status!r}")
        if self.reason is not None and not _is_value(self.reason):
            raise ValueError(f"a reason phrase is one line, not {self.reason!r}")
        return checked_fields(self.headers)

    def final_trailers(self) -> Headers:
        """
        The trailer section, now that the body is complete.

        @raise TypeError, ValueError: as L{checked}.
        """
        trailers = field_list(self.trailers() if callable(self.trailers) else self.trailers)
        checked_fields(trailers)
        return trailers

    def bodiless(self, method: bytes) -> bool:
        """Whether HTTP allows no body in an answer to C{method} (RFC 9110, section 6.4.1)."""
        return method == b"HEAD" or self.status in BODILESS


def field_list(fields: Fields) -> Headers:
    """The pairs of a header or trailer section, however it was given; they are not checked."""
    if type(fields) is not list and isinstance(fields, Mapping):
        return list(fields.items())
    return list(fields)


def checked_fields(fields: Headers) -> int | None:
    """
    Check a header or trailer section.

    @return: the value of C{Content-Length}, or None.
    @raise TypeError: something is no pair, or a name or value is not bytes.
    @raise ValueError: a name is no token, a value has CR, LF or NUL; too many or too long.
    """
    length: int | None = None
    size = 0
    for each in fields:
        try:
            name, value = each
        except (TypeError, ValueError):
            raise TypeError(f"fields are pairs of name and value, not {each!r}") from None
        if type(name) is not bytes or type(value) is not bytes:
            raise TypeError(f"names and values of fields are bytes: {name!r}, {value!r}")
        if not name or name.translate(None, _TOKEN):
            raise ValueError(f"no name of a field: {name!r}")
        if not _is_value(value):
            raise ValueError(f"a value holds CR, LF or NUL: {name!r}: {value!r}")
        size += len(name) + len(value)
        if len(name) == 14 and name.lower() == b"content-length":
            if not value.isdigit() or len(value) > 18:
                raise ValueError(f"content-length is a number of bytes, not {value!r}")
            if length is not None:
                raise ValueError("content-length is given twice")
            length = int(value)
    if len(fields) > MAX_HEADERS or size > MAX_HEADER_BYTES:
        raise ValueError(f"at most {MAX_HEADERS} fields of {MAX_HEADER_BYTES} bytes in all")
    return length


def _is_value(value: bytes) -> bool:
    return b"\n" not in value and b"\r" not in value and b"\0" not in value
