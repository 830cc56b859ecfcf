"""The body of a response that is pulled as it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any


class OutgoingBody:
    """
    One way to pull pieces, wherever they come from, and to count them against the length.

    Where the source is a plain iterable its first piece is pulled at once, so that an
    error there can still be answered with 500.
    """

    __slots__ = ("_expected", "_first", "_iterator", "_source", "expected", "source")
    _iterator: Iterator[bytes] | AsyncIterator[bytes]

    def __init__(
        self,
        source: Iterable[bytes] | AsyncIterable[bytes],
        expected: int | None,
        eager: bool = True,
    ) -> None:
        """
        Take a source.

        @param expected: how many bytes there must be; None if that is not known.
        @param eager: pull the first piece now.
        @raise TypeError: it is not iterable.
        """
        self._source = self.source = source
        self.expected = expected
        self._expected = expected
        self._first: bytes | None = None
        if isinstance(source, str):
            raise TypeError("a body is bytes, not a str")
        if isinstance(source, AsyncIterable):
            self._iterator = source.__aiter__()
        else:
            self._iterator = iter(source)
            if eager:
                self._first = next(self._iterator, None)

    async def next(self) -> bytes | None:
        """
        The next piece, never empty; None at the end.

        @raise TypeError: the source gives something that is not bytes.
        @raise ValueError: there is more, or less, than the length that was told.
        """
        while (piece := await self._pull()) is not None:
            if not isinstance(piece, bytes | bytearray | memoryview):
                raise TypeError(f"a body is made of bytes, not {type(piece).__name__}")
            if not piece:
                continue
            piece = bytes(piece)
            if self._expected is not None:
                self._expected -= len(piece)
                if self._expected < 0:
                    raise ValueError("the body is longer than its content-length")
            return piece
        if self._expected:
            raise ValueError(f"the body is {self._expected} bytes shorter than its content-length")
        return None

    def skip(self) -> None:
        """All of it has been sent by somebody else."""
        self._first = None
        self._iterator = iter(())
        self._expected = 0

    async def _pull(self) -> Any:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if isinstance(self._iterator, AsyncIterator):
            try:
                return await self._iterator.__anext__()
            except StopAsyncIteration:
                return None
        return next(self._iterator, None)

    async def close(self) -> None:
        """Release the source: whoever made it may hold a file, or a lock."""
        closed: object = None
        for each in (self._iterator, self._source):
            close = getattr(each, "aclose", None) or getattr(each, "close", None)
            if close is not None and each is not closed:
                closed = each
                result = close()
                if hasattr(result, "__await__"):
                    await result


class UnreadBody(OutgoingBody):
    """A body that nobody wants: closed, never pulled."""

    __slots__ = ()

    def __init__(self, source: Any) -> None:
        self._source = source
        self._iterator = source
