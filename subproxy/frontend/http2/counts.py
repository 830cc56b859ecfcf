"""The numbers of one connection that both paths change at each request."""

from __future__ import annotations

from typing import Final, Protocol

from subproxy.frontend.http2.bounds import CONNECTION_WINDOW

FIRST_WINDOW: Final = 65_535
"""Bytes that either side may send before it is told otherwise (RFC 9113 section 6.9.2)."""


class IHttp2Counts(Protocol):
    """
    See above; what compiled code changes is an object of its own that has these.

    @ivar last_stream: the number of the last stream that the client opened; 0 before.
    @ivar open: how many streams are not closed.
    @ivar requests: how many streams there were.
    @ivar room: bytes of data that may be sent on the connection.
    @ivar first_room: bytes of data that may be sent on a new stream.
    @ivar heads: bytes that the heads of open streams take.
    @ivar left: bytes of data that the client may still send on the connection.
    @ivar taken: bytes of data that were taken, and are not in its window again.
    @ivar shrinks: the next block of fields has to say that our table is empty.
    """

    last_stream: int
    open: int
    requests: int
    room: int
    first_room: int
    heads: int
    left: int
    taken: int
    shrinks: bool


class Http2Counts:
    """See L{IHttp2Counts}."""

    __slots__ = (
        "first_room",
        "heads",
        "last_stream",
        "left",
        "open",
        "requests",
        "room",
        "shrinks",
        "taken",
    )

    def __init__(self) -> None:
        self.last_stream = 0
        self.open = 0
        self.requests = 0
        self.room = FIRST_WINDOW
        self.first_room = FIRST_WINDOW
        self.heads = 0
        self.left = CONNECTION_WINDOW
        self.taken = 0
        self.shrinks = False
