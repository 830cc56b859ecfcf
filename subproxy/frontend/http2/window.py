"""
The window of a connection for what its client sends: RFC 9113 section 5.2.

When bodies that are collected hold too much of it, L{subproxy.fastpath._http2_counts} knows, too.
"""

from __future__ import annotations

from subproxy.frontend.http2.bounds import CONNECTION_WINDOW
from subproxy.frontend.http2.counts import IHttp2Counts
from subproxy.frontend.http2.frames import ErrorCode, Http2Error


def held_beyond(counts: IHttp2Counts) -> int:
    """
    Of bodies that nobody has taken yet, how many bytes there are beyond half of a window; or 0.

    Bodies that are collected must not hold more than that: each would wait for room that the others
    have. Half a window held, and less than that taken and not said, leaves some.
    """
    return max(0, CONNECTION_WINDOW // 2 - counts.left - counts.taken)


class ConnectionWindow:
    """
    How much a client may send, and how much of what it sent was taken.

    It is opened again by half of itself at a time, so that few frames say so.

    @param counts: has its numbers.
    """

    __slots__ = ("_counts",)

    def __init__(self, counts: IHttp2Counts) -> None:
        self._counts = counts

    def came(self, size: int) -> None:
        """
        C{size} bytes came.

        @raise Http2Error: more than may.
        """
        self._counts.left -= size
        if self._counts.left < 0:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "more data than the connection takes")

    def taken(self, size: int) -> int:
        """
        C{size} bytes were taken.

        @return: by how much to open the window; 0 for not yet.
        """
        counts = self._counts
        counts.taken += size
        if counts.taken < CONNECTION_WINDOW // 2:
            return 0
        return self.rest()

    def rest(self) -> int:
        """
        All that was taken and is not open yet may come again.

        @return: by how much to open the window: by a byte that is taken later, if by no more.
        """
        counts = self._counts
        more = max(1, counts.taken)
        counts.taken -= more
        counts.left += more
        return more
