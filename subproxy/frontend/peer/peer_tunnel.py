"""
A tunnel that has left its frames for a data connection, on the serving side.

The other process offers that when much has passed. Each half moves at a point of its own
(docs/protocol.md, "Moving"): ours when the other process has taken the token, theirs when it says
so. Where no connection can be had, it stays in frames.
"""

from __future__ import annotations

from typing import Protocol

from subproxy.core.tunnel_half import HALF_TRANSITIONS, TunnelHalfState
from subproxy.frontend.peer.peer_data_connection import PeerDataConnection
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection
from subproxy.wire.states import Half


class MovedTunnelStream(Protocol):
    """Whose tunnel it is."""

    def drained(self) -> None:
        """What was written has left: the guest may send as much again."""

    def upload_came(self, data: bytes) -> bool:
        """Some of the client's half came; whether more may come at once."""

    def tunnel_moves(self) -> None:
        """Our half has moved."""

    def tunnel_request_ended(self) -> None:
        """All of the client's half has come."""

    def tunnel_in_frames(self) -> None:
        """It stays there."""

    def data_lost(self, reason: str) -> None:
        """It is broken."""


class PeerTunnel:
    """One of them."""

    def __init__(
        self,
        stream: MovedTunnelStream,
        connection: PeerDataConnection,
        number: int,
        wire: WireConnection,
    ) -> None:
        self._stream = stream
        self._number = number
        self._wire = wire
        self._connection: PeerDataConnection | None = connection
        self._ours = self._theirs = TunnelHalfState.FRAMED
        self._early: list[bytes] = []  # raw bytes that came before it was said that they do
        self._sent = 0  # bytes of our half, those in frames among them
        self._received = 0  # likewise, of theirs
        self._length = 0  # of theirs, once its end was told

    def claim(self, token: bytes) -> None:
        """Claim what the other process has offered."""
        assert self._connection is not None
        self._connection.claim(self._number, token, self)

    @property
    def sends(self) -> bool:
        """Whether what our half still sends goes this way."""
        return self._ours is not TunnelHalfState.FRAMED

    @property
    def receives(self) -> bool:
        """Whether what their half still sends comes this way."""
        return self._theirs is not TunnelHalfState.FRAMED

    def write(self, data: bytes) -> bool:
        """Some more of our half; whether more may come at once."""
        connection = self._connection
        assert connection is not None
        self._sent += len(data)
        connection.write(data)
        return connection.ready

    def end(self) -> None:
        """That was all of it."""
        self._ours = HALF_TRANSITIONS.move(self._ours, TunnelHalfState.COMPLETE)
        self._wire.end_body(self._number, [], {b"length": self._sent})

    def moved(self, length: int) -> None:
        """Their half has moved; C{length} bytes of it came in frames."""
        self._theirs = HALF_TRANSITIONS.move(self._theirs, TunnelHalfState.RAW)
        self._received = length
        early, self._early = self._early, []
        for each in early:
            self.came(each)
        if not early:
            self.want()

    def ended(self, message: m.End) -> None:
        """The other process has sent all of theirs: perhaps before all is here."""
        length = message.info.get(b"length")
        assert type(length) is int  # the wire has looked
        self._theirs = HALF_TRANSITIONS.move(self._theirs, TunnelHalfState.ENDING)
        self._length = length
        self._settle()

    def want(self) -> None:
        """The guest takes more of it."""
        if self._connection is not None and self.receives:
            self._connection.resume()

    def release(self, *, theirs_ended: bool) -> None:
        """
        It is over: the connection is closed, behind what was written if both halves have ended.

        @param theirs_ended: theirs has, wherever it passed.
        """
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._ours is TunnelHalfState.COMPLETE and theirs_ended:
            connection.finish()
        else:
            connection.release()

    def _settle(self) -> None:
        if self._theirs is not TunnelHalfState.ENDING or self._received < self._length:
            return
        if self._received > self._length:
            self._stream.data_lost("more of a tunnel than its end says")
            return
        self._theirs = HALF_TRANSITIONS.move(self._theirs, TunnelHalfState.COMPLETE)
        self._stream.tunnel_request_ended()

    # DataUser.

    def claimed(self) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}: ours moves."""
        connection = self._connection
        assert connection is not None
        connection.receive()
        exchange = self._wire.exchanges.get(self._number)
        if exchange is None or exchange.ours is not Half.STREAMING:
            return
        assert exchange.tunnel is not None
        ends = exchange.ending is not None
        pieces = self._wire.move_body(self._number)
        self._ours = HALF_TRANSITIONS.move(self._ours, TunnelHalfState.RAW)
        self._sent = exchange.tunnel.sent
        ready = True
        for piece in pieces:
            ready = self.write(bytes(piece))
        if ends:
            self.end()
        self._stream.tunnel_moves()
        if ready:
            self._stream.drained()

    def unclaimed(self) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}."""
        self._connection = None
        self._stream.tunnel_in_frames()

    def came(self, data: bytes) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}."""
        connection = self._connection
        if connection is None:
            return
        if not self.receives:
            self._early.append(data)
            connection.pause()
            return
        self._received += len(data)
        more = self._stream.upload_came(data)
        self._settle()
        if self._connection is None:
            return
        if more:
            connection.resume()
        else:
            connection.pause()

    def writable(self) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}."""
        self._stream.drained()

    def lost(self) -> None:
        """See L{DataUser<subproxy.frontend.peer.peer_data_connection.DataUser>}."""
        self._connection = None
        self._stream.data_lost("the data connection of the tunnel is gone")
