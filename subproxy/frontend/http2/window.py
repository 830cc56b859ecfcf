"""The window of a connection for what its client sends: RFC 9113 section 5.2."""

from __future__ import annotations

from subproxy.frontend.http2.frames import ErrorCode, Http2Error


class ConnectionWindow:
    """
    How much a client may send, and how much of what it sent was taken.

    It is opened again by half of itself at a time, so that few frames say so.

    @param size: bytes that may be under way, or wait to be taken.
    """

    __slots__ = ("_left", "_size", "_taken")

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = size
        self._taken = 0

    def came(self, size: int) -> None:
        """
        C{size} bytes came.

        @raise Http2Error: more than may.
        """
        self._left -= size
        if self._left < 0:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "more data than the connection takes")

    def taken(self, size: int) -> int:
        """
        C{size} bytes were taken.

        @return: by how much to open the window; 0 for not yet.
        """
        self._taken += size
        if self._taken < self._size // 2:
            return 0
        more, self._taken = self._taken, 0
        self._left += more
        return more
