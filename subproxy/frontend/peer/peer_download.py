"""
The body of an answer that goes to the other process over a data connection.

The head has announced it; the other process then makes a token, with which a connection is claimed.
What the guest has sent until then waits, and the guest with it. Where no connection can be had, it
goes in frames after all.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable
from subproxy.frontend.peer.peer_data_connection import PeerDataConnection
from subproxy.frontend.peer.peer_data_pool import PeerDataPool
from subproxy.wire.fields import Headers


@fast_enum
class PeerDownloadState(Enum):
    """How far it is."""

    ANNOUNCED = auto()
    """The other process has not asked for it."""
    CLAIMING = auto()
    CARRIED = auto()
    """A data connection carries it."""
    OVER = auto()
    """All of it was sent, or goes in frames, or nobody wants it any more."""


DOWNLOAD_TRANSITIONS: TransitionTable[PeerDownloadState] = TransitionTable(
    {
        PeerDownloadState.ANNOUNCED: [PeerDownloadState.CLAIMING, PeerDownloadState.OVER],
        PeerDownloadState.CLAIMING: [PeerDownloadState.CARRIED, PeerDownloadState.OVER],
        PeerDownloadState.CARRIED: [PeerDownloadState.OVER],
        PeerDownloadState.OVER: [],
    }
)


class DownloadStream(Protocol):
    """Whose body it is."""

    def drained(self) -> None:
        """What was written has left: the guest may send as much again."""

    def download_sent(self, trailers: Headers, length: int) -> None:
        """All C{length} bytes were given to a data connection."""

    def download_in_frames(self, held: bytes, trailers: Headers | None) -> None:
        """It goes in frames: first what is C{held}, which is all if there are C{trailers}."""

    def data_lost(self, reason: str) -> None:
        """Its connection is gone amid the body."""


class PeerDownload:
    """
    One of them.

    @param length: in bytes, as the head tells it; None: it does not, and nothing may follow on its
        connection.
    @ivar state: see L{PeerDownloadState}.
    """

    def __init__(
        self, stream: DownloadStream, pool: PeerDataPool, number: int, length: int | None
    ) -> None:
        self.state = PeerDownloadState.ANNOUNCED
        self._stream = stream
        self._pool = pool
        self._number = number
        self._connection: PeerDataConnection | None = None
        self._held: list[bytes] = []
        self._trailers: Headers | None = None
        self._told = length is not None
        self._lease: Callable[[int], None] | None = None
        self._length = 0

    def connect(self, token: bytes) -> None:
        """The other process asks for it."""
        if self.state is not PeerDownloadState.ANNOUNCED:
            return
        connection = self._connection = self._pool.connection()
        if connection is None:
            self.unclaimed()
        else:
            self._go(PeerDownloadState.CLAIMING)
            connection.claim(self._number, token, self)

    def write(self, data: bytes) -> bool:
        """Some more of it; whether more may come at once."""
        connection = self._connection
        if self.state is not PeerDownloadState.CARRIED or connection is None:
            self._held.append(data)
            return False
        self._length += len(data)
        connection.write(data)
        return connection.ready

    def end(self, trailers: Headers) -> None:
        """That was all."""
        self._trailers = trailers
        if self.state is PeerDownloadState.CARRIED:
            self._end(trailers)

    def lend(self, then: Callable[[int], None]) -> bool:
        """
        Lend the connection's sending side, for all that has not come yet.

        @param then: is given the descriptor, now or later: -1 if the body goes another way.
        @return: whether that will be.
        """
        if self.state is PeerDownloadState.OVER:
            return False
        if self._connection is not None and self.state is PeerDownloadState.CARRIED:
            self._connection.lend_sending(then)
        else:
            self._lease = then
        return True

    def moved(self, amount: int) -> None:
        """So much of it was written by who has the descriptor."""
        self._length += amount

    def broke(self) -> None:
        """He has found that the connection is broken."""
        if self._connection is not None:
            self._connection.abort()

    def release(self) -> None:
        """Nobody wants it any more."""
        if self.state is not PeerDownloadState.OVER:
            self._go(PeerDownloadState.OVER)
            self._held.clear()
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.release()

    def _end(self, trailers: Headers) -> None:
        self._go(PeerDownloadState.OVER)
        connection, self._connection = self._connection, None
        assert connection is not None
        if self._told:
            connection.sent()
        else:
            connection.finish()
        self._stream.download_sent(trailers, self._length)

    def _go(self, state: PeerDownloadState) -> None:
        self.state = DOWNLOAD_TRANSITIONS.move(self.state, state)

    # DataUser.

    def claimed(self) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}."""
        self._go(PeerDownloadState.CARRIED)
        ready, held = True, b"".join(self._held)
        self._held.clear()
        if held:
            ready = self.write(held)
        if self._trailers is not None:
            self._end(self._trailers)
        elif ready:
            self._stream.drained()
        lease, self._lease = self._lease, None
        if lease is not None and self.state is PeerDownloadState.CARRIED:
            self.lend(lease)

    def unclaimed(self) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}."""
        self._go(PeerDownloadState.OVER)
        self._connection = None
        held = b"".join(self._held)
        self._held.clear()
        self._stream.download_in_frames(held, self._trailers)
        lease, self._lease = self._lease, None
        if lease is not None:
            lease(-1)

    def came(self, data: bytes) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}: nothing does."""

    def writable(self) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}."""
        self._stream.drained()

    def lost(self) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}."""
        self._go(PeerDownloadState.OVER)
        self._connection = None
        self._stream.data_lost("the data connection of the answer is gone")
