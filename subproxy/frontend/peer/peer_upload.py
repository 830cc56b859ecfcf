"""
The body of a request that comes from the other process over a data connection.

Its token has come with the request. It is claimed at once, unless the client waits to be asked for
its body; the other process then sends as fast as the guest takes it. Where no connection can be
had, it is asked for in frames, by credit.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from subproxy.core.fast_enum import fast_enum
from subproxy.core.states import TransitionTable
from subproxy.frontend.peer.peer_data_connection import PeerDataConnection
from subproxy.frontend.peer.peer_data_pool import PeerDataPool
from subproxy.wire import messages as m
from subproxy.wire.fields import Headers


@fast_enum
class PeerUploadState(Enum):
    """How far it is."""

    PROMISED = auto()
    """A token is there for it."""
    CLAIMING = auto()
    CARRIED = auto()
    """A data connection carries it."""
    RECEIVED = auto()
    """All of its bytes are here; its end may be still to come."""
    OVER = auto()
    """It is complete, or comes in frames, or nobody wants it any more."""


UPLOAD_TRANSITIONS: TransitionTable[PeerUploadState] = TransitionTable(
    {
        PeerUploadState.PROMISED: [PeerUploadState.CLAIMING, PeerUploadState.OVER],
        PeerUploadState.CLAIMING: [PeerUploadState.CARRIED, PeerUploadState.OVER],
        PeerUploadState.CARRIED: [PeerUploadState.RECEIVED, PeerUploadState.OVER],
        PeerUploadState.RECEIVED: [PeerUploadState.OVER],
        PeerUploadState.OVER: [],
    }
)


class UploadStream(Protocol):
    """Whose body it is."""

    def upload_came(self, data: bytes) -> bool:
        """Some of it came; whether more may come at once."""

    def upload_waits(self) -> bool:
        """Whether some of it waits for the guest."""

    def upload_complete(self, trailers: Headers) -> None:
        """All of it has come, and its end."""

    def upload_in_frames(self) -> None:
        """It comes in frames, as soon as credit is granted for it."""

    def data_lost(self, reason: str) -> None:
        """It will not be complete."""


class PeerUpload:
    """
    One of them.

    @param length: in bytes.
    @ivar state: see L{PeerUploadState}.
    """

    def __init__(
        self, stream: UploadStream, pool: PeerDataPool, number: int, token: bytes, length: int
    ) -> None:
        self.state = PeerUploadState.PROMISED
        self._stream = stream
        self._pool = pool
        self._number = number
        self._token = token
        self._length = self._left = length
        self._connection: PeerDataConnection | None = None
        self._trailers: Headers | None = None

    def want(self) -> None:
        """Have it come, or go on to."""
        if self.state is PeerUploadState.PROMISED:
            self._begin()
        elif self._connection is not None:
            self._connection.resume()

    def _begin(self) -> None:
        connection = self._connection = self._pool.connection()
        if connection is None:
            self.unclaimed()
        else:
            self._go(PeerUploadState.CLAIMING)
            connection.claim(self._number, self._token, self)

    def ended(self, message: m.End) -> None:
        """The other process says that all was sent: perhaps before all is here."""
        if message.info.get(b"length", self._length) != self._length:
            self._lose("the end of a body tells of another length")
        else:
            self._trailers = message.trailers
            self._settle()

    def lend(self, least: int, then: Callable[[int, int], None]) -> bool:
        """
        Lend the connection's receiving side, for all that has not come yet.

        @param least: bytes; with fewer to come, it is not worth while.
        @param then: is given the descriptor and how many bytes are to come, now or later.
        @return: whether that will be.
        """
        connection = self._connection
        if (
            connection is None
            or connection.lent
            or self.state is not PeerUploadState.CARRIED
            or self._left < least
        ):
            return False

        def lent(descriptor: int) -> None:
            if self._stream.upload_waits() or self._left < least:
                # What is here goes first, when the guest takes more.
                connection.returned()
                if self._stream.upload_waits():
                    connection.pause()
            else:
                then(descriptor, self._left)

        connection.lend_receiving(lent)
        return True

    def moved(self, amount: int) -> None:
        """So much of it was read by who has the descriptor."""
        self._left -= amount

    def returned(self) -> None:
        """He has it no more."""
        connection = self._connection
        if connection is not None and self.state is PeerUploadState.CARRIED:
            connection.returned()
            self._look_whether_received(connection)

    def release(self) -> None:
        """Nobody wants it any more."""
        if self.state is not PeerUploadState.OVER:
            self._go(PeerUploadState.OVER)
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.release()

    def _settle(self) -> None:
        if self.state is PeerUploadState.RECEIVED and self._trailers is not None:
            self._go(PeerUploadState.OVER)
            self._stream.upload_complete(self._trailers)

    def _lose(self, reason: str) -> None:
        self.release()
        self._stream.data_lost(reason)

    def _go(self, state: PeerUploadState) -> None:
        self.state = UPLOAD_TRANSITIONS.move(self.state, state)

    # DataUser.

    def claimed(self) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}."""
        self._go(PeerUploadState.CARRIED)
        assert self._connection is not None
        self._connection.receive()

    def unclaimed(self) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}."""
        self._go(PeerUploadState.OVER)
        self._connection = None
        self._stream.upload_in_frames()

    def came(self, data: bytes) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}."""
        self._left -= len(data)
        if self._left < 0:
            self._lose("more of a body than was announced")
            return
        more = self._stream.upload_came(data)
        connection = self._connection
        if connection is None:
            return
        if not self._look_whether_received(connection) and not more:
            connection.pause()

    def _look_whether_received(self, connection: PeerDataConnection) -> bool:
        if self._left:
            return False
        self._go(PeerUploadState.RECEIVED)
        self._connection = None
        connection.received()
        self._settle()
        return True

    def writable(self) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}."""

    def lost(self) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}."""
        self._go(PeerUploadState.OVER)
        self._connection = None
        if self._left == self._length:
            # It was idle, and has closed before the claim came: there is another way.
            self._stream.upload_in_frames()
        else:
            self._stream.data_lost("its data connection is gone")
