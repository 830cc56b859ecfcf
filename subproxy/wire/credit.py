"""
Credit: how many bytes of a streamed body may be under way (docs/protocol.md, "Credit").

One L{SendWindow} and one L{ReceiveWindow} an exchange, so that nobody's slow body
stalls another's on the same connection. Only the data of C{body} frames counts.
"""

from __future__ import annotations

from subproxy.wire.errors import MessageError
from subproxy.wire.limits import BODY_CHUNK, MAX_CREDIT


class SendWindow:
    """
    What we may send, and what waits for credit.

    @ivar available: bytes that may be sent now.
    @ivar pending: bytes that wait.
    """

    __slots__ = ("_waiting", "available", "pending")

    def __init__(self, available: int) -> None:
        self.available = available
        self.pending = 0
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> list[bytes]:
        """Take C{data} to be sent; return the pieces that may go now, in order."""
        if data:
            self._waiting.append(data)
            self.pending += len(data)
        return self._pieces()

    def granted(self, amount: int) -> list[bytes]:
        """
        C{amount} bytes more are allowed; return the pieces that may go now.

        @raise MessageError: more than a window can hold.
        """
        self.available += amount
        if self.available > MAX_CREDIT:
            raise MessageError("more credit than a window can hold")
        return self._pieces()

    def _pieces(self) -> list[bytes]:
        pieces: list[bytes] = []
        waiting = self._waiting
        while waiting and self.available:
            first = waiting.pop(0)
            size = min(self.available, BODY_CHUNK)
            if len(first) > size:
                waiting.insert(0, first[size:])
                first = first[:size]
            self.available -= len(first)
            self.pending -= len(first)
            pieces.append(first)
        return pieces


class ReceiveWindow:
    """
    What the peer may send.

    Credit goes back when half of the window has been consumed, so that there is neither
    a frame for each piece nor a stall at its end.

    @ivar size: of the window, in bytes.
    @ivar left: bytes that the peer may still send.
    """

    __slots__ = ("_consumed", "left", "size")

    def __init__(self, size: int, left: int | None = None) -> None:
        self.size = size
        self.left = size if left is None else left
        self._consumed = size - self.left

    def received(self, amount: int) -> bool:
        """C{amount} bytes came; False if the peer had no credit for them."""
        self.left -= amount
        return self.left >= 0

    def consumed(self, amount: int) -> int:
        """C{amount} bytes are out of our hands; return the credit to grant now, or 0."""
        self._consumed += amount
        if self._consumed * 2 < self.size:
            return 0
        grant, self._consumed = self._consumed, 0
        self.left += grant
        return grant
