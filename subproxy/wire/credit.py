"""
Credit: how many bytes of a streamed body may be under way (docs/protocol.md, "Credit").

One L{SendWindow} and one L{ReceiveWindow} an exchange, so that nobody's slow body
stalls another's on the same connection. Only the data of C{body} frames counts.

Compiled a second time: L{subproxy.fastpath._client_tunnel},
L{subproxy.fastpath._tunnel_channel}, L{subproxy.fastpath._answer_channel},
L{subproxy.fastpath._fast_tunnel} and L{subproxy.fastpath._tunnelling_connection} (see
L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections import deque

from subproxy.wire.frames import Piece
from subproxy.wire.limits import BODY_CHUNK, MAX_CREDIT

_NOTHING: deque[bytes] = deque(maxlen=0)
"""For windows in which nothing waits, and nothing ever will in most: a deque costs 600 bytes."""


class SendWindow:
    """
    Credit of this side for one body, and the pieces that wait for more.

    What waits is not copied: pieces of it are views.

    @ivar available: bytes that may be sent now.
    @ivar pending: bytes that wait.
    @ivar chunk: the most bytes of one piece.
    """

    __slots__ = ("_offset", "_waiting", "available", "chunk", "pending")

    def __init__(self, available: int, chunk: int = BODY_CHUNK) -> None:
        self.available = available
        self.chunk = chunk
        self.pending = 0
        self._waiting: deque[bytes] = _NOTHING
        self._offset = 0

    def write(self, data: bytes) -> list[Piece]:
        """Take C{data} to be sent; return the pieces that may go now, in order."""
        size = len(data)
        # While something waits, nothing is available.
        if size <= self.available and size <= self.chunk:
            self.available -= size
            return [data] if size else []
        if not self.pending:
            self._waiting = deque()
        self._waiting.append(data)
        self.pending += size
        return self._pieces()

    def granted(self, amount: int) -> list[Piece] | None:
        """
        C{amount} bytes more are allowed.

        @return: the pieces that may go now; None if that is more than a window can hold.
        """
        if self.available + amount > MAX_CREDIT:
            return None
        self.available += amount
        return self._pieces()

    def take(self) -> list[Piece]:
        """Take out what waits: it goes another way."""
        pieces: list[Piece] = [memoryview(each) for each in self._waiting]
        if pieces:
            pieces[0] = pieces[0][self._offset :]
        self._waiting, self._offset, self.pending = _NOTHING, 0, 0
        return pieces

    def _pieces(self) -> list[Piece]:
        pieces: list[Piece] = []
        waiting = self._waiting
        while self.pending and self.available:
            first = waiting[0]
            start = self._offset
            end = min(len(first), start + min(self.available, self.chunk))
            pieces.append(memoryview(first)[start:end])
            self.available -= end - start
            self.pending -= end - start
            if end < len(first):
                self._offset = end
            else:
                self._offset = 0
                waiting.popleft()
        return pieces


class ReceiveWindow:
    """
    Credit that this side has given the peer for one body.

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
