"""
One stream: its state (RFC 9113 section 5.1), its windows, and what waits to be sent on it.

Idle streams, and those that were closed, are not kept: the connection knows them by their numbers.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable
from subproxy.frontend.http2.frames import FRAME_SIZE
from subproxy.frontend.http2.priority import DEFAULT_URGENCY


@fast_enum
class StreamState(Enum):
    """Who may still send on a stream that a client has opened."""

    OPEN = auto()
    """Both: the request is not whole."""
    HALF_CLOSED_REMOTE = auto()
    """We: the request is whole."""
    HALF_CLOSED_LOCAL = auto()
    """The client: the answer was sent before the request was whole."""
    CLOSED = auto()
    """Nobody."""


TRANSITIONS: TransitionTable[StreamState] = TransitionTable(
    {
        StreamState.OPEN: {
            StreamState.HALF_CLOSED_REMOTE,
            StreamState.HALF_CLOSED_LOCAL,
            StreamState.CLOSED,
        },
        StreamState.HALF_CLOSED_REMOTE: {StreamState.CLOSED},
        StreamState.HALF_CLOSED_LOCAL: {StreamState.CLOSED},
        StreamState.CLOSED: (),
    }
)


_SMALL = 1024
"""Bytes up to which pieces become one: small ones cost more than they hold."""


class Http2Stream:
    """
    One stream.

    @ivar number: its number.
    @ivar state: see above.
    @ivar window: bytes that the client may still send; less than nothing is its fault.
    @ivar size: what that window is at most.
    @ivar cost: bytes that its head takes.
    @ivar held: bytes that came and that nobody has taken yet.
    @ivar owed: bytes that were taken, and are not in its window again.
    @ivar room: bytes that we may still send; may be negative (section 6.9.2).
    @ivar blocks: fields that go before all data.
    @ivar data: data that wait, from C{at} in the first piece on.
    @ivar waiting: bytes of data that wait.
    @ivar beside: bytes that wait beside them: fields, and data that are not here yet.
    @ivar trailers: fields that go behind all data.
    @ivar ends: nothing is added to what waits.
    @ivar urgency: 0 for the most urgent, to 7.
    @ivar sent: bytes of data that were sent.
    @ivar received: bytes of data that came.
    @ivar discards: what the client still sends means nothing.
    """

    __slots__ = (
        "at",
        "beside",
        "blocks",
        "cost",
        "data",
        "discards",
        "ends",
        "held",
        "number",
        "owed",
        "received",
        "room",
        "sent",
        "size",
        "state",
        "trailers",
        "urgency",
        "waiting",
        "window",
    )

    def __init__(self, number: int, window: int, room: int) -> None:
        self.number = number
        self.state = StreamState.OPEN
        self.window = self.size = window
        self.cost = 0
        self.held = 0
        self.owed = 0
        self.room = room
        self.blocks: list[bytes] = []
        self.data: deque[bytes] = deque()
        self.at = 0  # where in the first of them what waits begins
        self.waiting = 0
        self.beside = 0
        self.trailers: bytes | None = None
        self.ends = False
        self.urgency = DEFAULT_URGENCY
        self.sent = 0
        self.received = 0
        self.discards = False

    def move(self, state: StreamState) -> None:
        """
        Go to C{state}.

        @raise AssertionError: the table does not allow it: a bug of ours.
        """
        self.state = TRANSITIONS.move(self.state, state)

    def grow(self, most: int) -> int:
        """
        Let the client send more at a time, up to C{most} bytes, if all that came was taken.

        @return: by how much its window is larger.
        """
        if self.held or self.discards:
            return 0
        growth = min(self.size, most - self.size)
        self.size += growth
        return growth

    def client_ended(self) -> None:
        """The client sends no more."""
        half = self.state is StreamState.OPEN
        self.move(StreamState.HALF_CLOSED_REMOTE if half else StreamState.CLOSED)

    def we_ended(self) -> None:
        """We send no more."""
        half = self.state is StreamState.OPEN
        self.move(StreamState.HALF_CLOSED_LOCAL if half else StreamState.CLOSED)

    @property
    def client_sends(self) -> bool:
        """The client may still send."""
        return self.state is StreamState.OPEN or self.state is StreamState.HALF_CLOSED_LOCAL

    @property
    def we_send(self) -> bool:
        """We may still send."""
        return self.state is StreamState.OPEN or self.state is StreamState.HALF_CLOSED_REMOTE

    def add(self, data: bytes) -> None:
        """Let C{data} wait."""
        pieces = self.data
        if pieces and len(pieces[-1]) + len(data) <= _SMALL:
            pieces[-1] += data
        else:
            pieces.append(data)
        self.waiting += len(data)

    def take(self, most: int) -> bytes:
        """Some of the data that waits: at most C{most} bytes, and at most what a frame may have."""
        data, at = self.data, self.at
        most = min(most, FRAME_SIZE)
        piece = data[0]
        if len(piece) - at > most:
            piece = piece[at : at + most]
            self.at = at + most
        else:
            if at:
                piece = piece[at:]
                self.at = 0
            data.popleft()
            while data and len(piece) + len(data[0]) <= most:
                piece += data.popleft()
        self.took(len(piece), self.at)
        return piece

    def took(self, size: int, at: int) -> None:
        """C{size} bytes were taken of the data, and what is left begins C{at} there."""
        self.at = at
        self.waiting -= size
        self.room -= size
        self.sent += size

    def forget(self) -> None:
        """Nothing that waits is sent."""
        self.blocks.clear()
        self.data.clear()
        self.at = 0
        self.waiting = 0
        self.beside = 0
        self.trailers = None
