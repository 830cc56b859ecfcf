"""The body of a response that a thread pushes, and the event loop pulls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from threading import Condition
from typing import Any

from guest.core.runtime import Runtime


class ThreadBodyQueue(AsyncIterator[bytes]):
    """
    Holds one piece at a time: the thread waits until the one before has been taken.

    @ivar closed: nobody wants the rest.
    """

    def __init__(self, runtime: Runtime, post: Callable[[Callable[[], object]], object]) -> None:
        """
        Start empty.

        @param post: has the event loop call a function soon; from any thread.
        """
        self._runtime = runtime
        self._post = post
        self._changed = Condition()
        self._piece: bytes | None = None
        self._ended = False
        self._error: BaseException | None = None
        self._taking: Any = None
        self.closed = False

    # For the thread.

    def put(self, piece: bytes) -> bool:
        """Push C{piece} when there is room; False if nobody wants it any more."""
        with self._changed:
            while self._piece is not None and not self.closed:
                self._changed.wait()
            if self.closed:
                return False
            self._piece = piece
        self._post(self._wake)
        return True

    def end(self) -> None:
        """That was all."""
        self._ended = True
        self._post(self._wake)

    def fail(self, error: BaseException) -> bool:
        """
        No more will come: who pulls gets C{error} behind what there is.

        @return: False if nobody gets it: all had been pushed, or nobody wants the rest.
        """
        if self._ended or self.closed:
            return False
        self._error = error
        self._post(self._wake)
        return True

    def wait_closed(self) -> None:
        """Wait until all has been pulled and sent, or nobody wants it any more."""
        with self._changed:
            while not self.closed:
                self._changed.wait()

    # For the event loop.

    def _wake(self) -> None:
        taking, self._taking = self._taking, None
        if taking is not None:
            self._runtime.resolve(taking, None)

    async def __anext__(self) -> bytes:
        """The next piece."""
        while True:
            with self._changed:
                piece, self._piece = self._piece, None
                if piece is not None:
                    self._changed.notify()
                    return piece
                if self._error is not None:
                    raise self._error
                if self._ended:
                    raise StopAsyncIteration
                self._taking = taking = self._runtime.future()
            await taking

    async def aclose(self) -> None:
        """Nobody wants the rest."""
        self.close()

    def close(self) -> None:
        """Nobody wants the rest."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()
