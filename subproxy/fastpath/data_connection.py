"""A data connection whose bodies the compiled path may move."""

from __future__ import annotations

from subproxy.fastpath._claim_watch import ClaimWatch
from subproxy.relay.pump import Pump
from subproxy.relay.receiving import ReceivingState
from subproxy.relay.socket_lease import can_lend
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.bodies.data_connection_state import DataConnectionState
from subproxy.subscription.bodies.tokens import Tokens
from subproxy.subscription.context import GuestContext
from subproxy.subscription.interfaces import RawConnection


class FastDataConnection(DataConnection):
    """
    Is looked at by a L{ClaimWatch} while it is idle, which may carry a body by itself.

    Then that is its user, and sets here what L{DataConnection} would.
    """

    def __init__(self, connection: RawConnection, context: GuestContext) -> None:
        super().__init__(connection, context.tokens, context.clock, context.settings.data_idle)
        self._pump: Pump = context.pump
        self._claims: Tokens[DataConnection] = context.tokens

    def _carried(self) -> None:
        super()._carried()
        if (
            self.state is DataConnectionState.IDLE
            and self.receiving is not ReceivingState.LENT
            and can_lend(self.transport)
        ):
            # It was read, to hear its end, while a body was sent.
            self.lend_to(self._quiet)

    def _quiet(self, data: bytes) -> None:
        """The transport reads no more, since C{data}: the watch takes its place."""
        if data:
            self.dataReceived(data)
        if (
            self.state is DataConnectionState.IDLE
            and self.receiving is ReceivingState.LENT
            and (self._decoder.pending or not self._watches())
        ):
            self.take_back()

    def make_watch(self) -> ClaimWatch:
        """See L{DataConnection.make_watch}."""
        return ClaimWatch(
            self,
            self._pump,
            self._claims,
            self._clock,
            self._idle_timeout,
            self.transport.fileno(),
        )
