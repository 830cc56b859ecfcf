"""Where a request body ends on a stream: where the client says so, as its length has to."""

from __future__ import annotations

from subproxy.core.http.request import Headers
from subproxy.errors import ClientError


class StreamBody:
    """
    The body of one request: see L{subproxy.frontend.request_body_buffer.IBodyFraming}.

    @param length: what C{Content-Length} says; None if that is not known.
    @param limit: most bytes; 0 for no limit.
    @ivar complete: all of it was read.
    @ivar trailers: the trailer fields, when it is complete.
    @ivar size: how much came so far.
    """

    __slots__ = ("_length", "_limit", "complete", "size", "trailers")

    def __init__(self, length: int | None, limit: int) -> None:
        self._length = length
        self._limit = limit
        self.size = 0
        self.complete = False
        self.trailers: Headers = []

    @property
    def left(self) -> int:
        """Bytes that are still to come; 0 where that is not known."""
        return 0 if self._length is None else max(0, self._length - self.size)

    @property
    def agrees(self) -> bool:
        """It is not longer than its length; or, when it is complete, of its length."""
        if self._length is None:
            return True
        return self.size == self._length if self.complete else self.size <= self._length

    def skip(self, amount: int) -> None:
        """
        Never called: a stream shares its socket, which nobody else can read.

        @raise AssertionError: always.
        """
        raise AssertionError(f"{amount} bytes of a stream went past its reader")

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """
        Read C{data}.

        @return: all of it; nothing lies beyond.
        @raise ClientError: it is too large.
        """
        self.size += len(data)
        if self._limit and self.size > self._limit:
            raise ClientError("the request body is too large", 413)
        return data, b""
