"""
The halves of a tunnel that pass from socket to socket, without a copy in this process.

Each goes by a relay of its own (L{subproxy.relay.splice}), from when both sockets can be lent: when
nothing of it is held here any more. Nobody knows how much is to come. The client's half ends by its
FIN, which its transport finds when it has the socket back; the guest's when so many bytes have
passed as its C{end} tells.
"""

from __future__ import annotations

from typing import Any, Protocol

from subproxy.relay.splice import SpliceRelay
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.context import GuestContext
from subproxy.wire.limits import MAX_NUMBER


class SplicedTunnel(Protocol):
    """Whose halves are moved."""

    def client_moved(self, taken: int, given: int) -> None:
        """So many bytes came from the client, and so many went to the guest."""

    def guest_moved(self, taken: int, given: int) -> None:
        """So many bytes came from the guest, and so many went to the client."""

    def guest_complete(self) -> None:
        """All that was to come from the guest has gone to the client."""


class _SplicedHalf:
    """What both have in common."""

    def __init__(
        self, context: GuestContext, connection: DataConnection, socket: Any, user: SplicedTunnel
    ) -> None:
        """
        Prepare; C{start} begins.

        @param socket: the client's, an L{IClientSocket<subproxy.core.interfaces.IClientSocket>}.
        """
        self._context = context
        self._connection = connection
        self._socket = socket
        self._user = user
        self._relay: SpliceRelay | None = None
        self._left = MAX_NUMBER
        self._over = False

    def _splice(self, source: int, sink: int) -> None:
        """Both sockets are lent; unless it is over, or there are no descriptors for it."""
        context = self._context
        if self._over:
            return
        try:
            relay = SpliceRelay(context.pump, context.pipes, source, sink, self._left, self)
            relay.start()
        except OSError:
            self.stop()
        else:
            self._relay = relay

    def stop(self) -> None:
        """Move nothing more, and give back what was lent."""
        if not self._over:
            self._over = True
            relay, self._relay = self._relay, None
            if relay is not None:
                relay.stopProducing()
            self._give_back()

    def _give_back(self) -> None:
        raise NotImplementedError

    # RelayUser.

    def relay_moved(self, taken: int, given: int) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        raise NotImplementedError

    def relay_blocked(self, blocked: bool) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""

    def relay_done(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        self.stop()

    def source_ended(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}: the transport finds out more."""
        self.stop()

    def sink_broke(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        raise NotImplementedError


class SplicedClientHalf(_SplicedHalf):
    """From the client to the guest."""

    def start(self) -> None:
        """Have it moved as soon as both sockets can be lent."""
        if not self._socket.lendReceiving(MAX_NUMBER, self._source_lent):
            self._over = True

    def _source_lent(self, source: int, left: int) -> None:
        if not self._over:
            self._connection.lendSending(lambda sink: self._splice(source, sink))

    def _give_back(self) -> None:
        self._socket.returned()

    def relay_moved(self, taken: int, given: int) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        self._user.client_moved(taken, given)
        self._socket.received(taken)

    def sink_broke(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        self.stop()
        self._connection.broke()


class SplicedGuestHalf(_SplicedHalf):
    """From the guest to the client."""

    def start(self, left: int | None) -> None:
        """
        Have it moved as soon as both sockets can be lent.

        @param left: how many bytes are to come, if its end was told.
        """
        if left is not None:
            self._left = left
        self._connection.lendReceiving(self._source_lent)

    def _source_lent(self, source: int, left: int) -> None:
        if self._over or not self._socket.lendSending(lambda sink: self._splice(source, sink)):
            self.stop()

    def _give_back(self) -> None:
        self._connection.returned(0)

    def report(self) -> None:
        """Say now what has been moved."""
        if self._relay is not None:
            self._relay.rests()

    @property
    def moves(self) -> bool:
        """Whether a relay has it, or is about to."""
        return not self._over

    def limit(self, left: int) -> None:
        """Its end was told: C{left} bytes are to come yet, after what was said."""
        self._left = left
        if self._relay is not None:
            self._relay.limit(left)

    def relay_moved(self, taken: int, given: int) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        self._user.guest_moved(taken, given)
        self._socket.sent(given)

    def relay_blocked(self, blocked: bool) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        self._socket.blocked(blocked)

    def relay_done(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        self.stop()
        self._user.guest_complete()

    def sink_broke(self) -> None:
        """See L{RelayUser<subproxy.relay.splice.RelayUser>}."""
        self.stop()
        self._socket.broke()
