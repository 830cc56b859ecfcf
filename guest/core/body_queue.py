"""The body of a response that somebody pushes, as one that is pulled. Imports no framework."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from guest.core.framework import Framework


class BodyQueue(AsyncIterator[bytes]):
    """
    Holds one piece at a time: who pushes waits until those before have been taken.

    Many may push, and one pulls: pieces leave in the order in which they were pushed.
    """

    __slots__ = ("_closed", "_ended", "_error", "_framework", "_piece", "_pushing", "_taking")

    def __init__(self, framework: Framework) -> None:
        self._framework = framework
        self._piece: bytes | None = None
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self._pushing: deque[tuple[Any, bytes]] = deque()
        self._taking: Any = None

    async def put(self, piece: bytes) -> bool:
        """
        Push C{piece} when there is room; False if nobody wants it any more.

        One that is cancelled while it waits may have been pushed all the same.
        """
        if not piece or self._closed:
            return not self._closed
        if self._piece is None:
            self._piece = piece
            self._wake_taker()
        else:
            waiter = self._framework.future()
            self._pushing.append((waiter, piece))
            await waiter
        return not self._closed

    def end(self) -> None:
        """That was all."""
        self._ended = True
        self._wake_taker()

    def fail(self, error: BaseException) -> None:
        """No more will come: who pulls gets C{error} behind what there is."""
        self._error = error
        self._wake_taker()

    def _wake_taker(self) -> None:
        taking, self._taking = self._taking, None
        if taking is not None:
            self._framework.resolve(taking, None)

    async def __anext__(self) -> bytes:
        """The next piece."""
        while self._piece is None:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._taking = self._framework.future()
            await self._taking
        piece, self._piece = self._piece, None
        if self._pushing:
            waiter, self._piece = self._pushing.popleft()
            self._framework.resolve(waiter, None)
        return piece

    async def aclose(self) -> None:
        """Nobody wants the rest."""
        self._closed = True
        pushing, self._pushing = self._pushing, deque()
        for waiter, _ in pushing:
            self._framework.resolve(waiter, None)
