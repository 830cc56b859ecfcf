"""The body of a request, as it comes."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from guest.core.errors import BodyTooLong
from guest.core.framework import Framework
from subproxy.wire.fields import Headers


class IncomingBody:
    """
    Takes pieces from a connection, and gives them to one reader at a time.

    The reader's pace is the sender's: credit goes back only for what was taken, so that
    no more than one window of a body that nobody reads lies in memory.

    @ivar trailers: of the message, once the body has been read to its end.
    """

    __slots__ = ("_consumed", "_ended", "_error", "_framework", "_pieces", "_waiter", "_whole")
    _waiter: Awaitable[Any] | None

    def __init__(
        self, framework: Framework, consumed: Callable[[int], None], whole: bytes | None
    ) -> None:
        """
        Start empty.

        @param consumed: is told how many bytes have left our hands. Called with 0 before the
            first wait: the reader wants the body now (a client may wait for 100 (Continue)).
        @param whole: all of it, where it came within the request.
        """
        self._framework = framework
        self._consumed = consumed
        self._whole = whole
        self._pieces: deque[bytes] = deque()
        self._ended: Headers | None = None if whole is None else []
        self._error: Exception | None = None
        self._waiter = None

    @property
    def trailers(self) -> Headers:
        """The trailer section; empty until the body is complete."""
        return self._ended or []

    @property
    def complete(self) -> bool:
        """Nothing more is to come, nor to be taken."""
        return self._ended is not None and not self._pieces

    @property
    def whole(self) -> bytes | None:
        """All of it, where it came within the request, or has been read."""
        return self._whole

    # For the connection.

    def received(self, data: bytes) -> None:
        """A piece came."""
        self._pieces.append(data)
        self._wake()

    def ended(self, trailers: Headers) -> None:
        """The body is complete."""
        self._ended = trailers
        self._wake()

    def failed(self, error: Exception) -> None:
        """No more will come: whoever reads gets C{error}, unless the body is complete."""
        if self._ended is None and self._error is None:
            self._error = error
            self._pieces.clear()
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self._framework.resolve(waiter, None)

    # For the application.

    async def next(self) -> bytes | None:
        """
        The next piece, or None at the end.

        @raise RequestAborted: it will never be complete.
        """
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._ended is not None:
                return None
            if self._waiter is not None:
                raise RuntimeError("somebody else is reading this body")
            self._consumed(0)
            self._waiter = waiter = self._framework.future()
            try:
                await waiter
            finally:
                if self._waiter is waiter:
                    self._waiter = None
        piece = self._pieces.popleft()
        self._consumed(len(piece))
        return piece

    async def read(self, limit: int | None = None) -> bytes:
        """
        All that was not taken yet, at once; the same again if called again.

        @param limit: in bytes.
        @raise BodyTooLong: it is longer than C{limit}.
        @raise RequestAborted: it will never be complete.
        """
        if self._whole is None:
            pieces: list[bytes] = []
            size = 0
            while (piece := await self.next()) is not None:
                size += len(piece)
                if limit is not None and size > limit:
                    raise BodyTooLong(f"more than {limit} bytes")
                pieces.append(piece)
            self._whole = b"".join(pieces)
        if limit is not None and len(self._whole) > limit:
            raise BodyTooLong(f"more than {limit} bytes")
        return self._whole

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces, as they come; what L{read} has read comes as one."""
        if self._whole is not None:
            return _Pieces([self._whole] if self._whole else [])
        return _Arriving(self)


class _Arriving(AsyncIterator[bytes]):
    """The pieces of a body that is under way."""

    __slots__ = ("_body",)

    def __init__(self, body: IncomingBody) -> None:
        self._body = body

    async def __anext__(self) -> bytes:
        piece = await self._body.next()
        if piece is None:
            raise StopAsyncIteration
        return piece


class _Pieces(AsyncIterator[bytes]):
    """Pieces that are all there."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop(0)
