"""A connection of a guest that the compiled path may stand before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from subproxy.core.balancing.member import Member
from subproxy.fastpath._answer_channel import FastAnswerChannel
from subproxy.fastpath._channel import FastChannel
from subproxy.fastpath.data_connection import FastDataConnection
from subproxy.fastpath.shared_channel import SharedChannel
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.buffer_account import BufferAccount, BufferPart
from subproxy.subscription.channel import Channel
from subproxy.subscription.context import GuestContext
from subproxy.subscription.interfaces import Connections
from subproxy.subscription.protocol import SubscriptionProtocol
from subproxy.subscription.states import SubscriptionState
from subproxy.telemetry.access_log import AccessLog
from subproxy.telemetry.log_format import FORMATS, escaped


class FastSubscriptionProtocol(SubscriptionProtocol):
    """
    Gives what comes to a L{FastChannel}, as soon as nothing is held here.

    That deals with plain responses, and gives back whole frames of everything else.

    @ivar fast: the one that stands before this, if there is one.
    """

    def __init__(
        self,
        context: GuestContext,
        connections: Connections,
        identity: str = "",
        escape: Callable[[bytes], bytes] = escaped,
    ) -> None:
        """
        Begin as its base class does.

        @param escape: how the access log spells a name of the guest's.
        """
        super().__init__(context, connections, identity)
        self.fast: FastChannel | None = None
        self._escape = escape

    def make_channel(self, member: Member) -> Channel:
        """Where the exchanges of the subscription are."""
        return SharedChannel(self, member, self._context)

    def make_data_connection(self) -> DataConnection:
        """What carries bodies here."""
        return FastDataConnection(self, self._context)

    @property
    def context(self) -> GuestContext:
        """What all guests share."""
        return self._context

    def buffer_part(self) -> tuple[BufferPart, BufferAccount]:
        """What is held of incomplete frames, and the account that it is part of."""
        return self._partial, self._held

    def check_partial(self, size: int) -> int:
        """
        C{size} bytes of incomplete frames have been added to the account: may that be?

        @return: how many bytes the virtual machine may make us hold.
        """
        if self.overdrawn():
            self._cut_off("sent {size} bytes of what is not complete", size)
        return self._registrar.quotas(self.identity).buffer

    def dataReceived(self, data: bytes) -> None:
        """The guest said something."""
        if self.fast is not None:
            self.fast.dataReceived(data)
        else:
            super().dataReceived(data)

    def frames_received(self, data: bytes) -> None:
        """The wire is to have C{data}: whole frames, or what ends it all, once there is C{fast}."""
        super().frames_received(data)
        if self.fast is None:
            self._quicken()

    def caught_up(self) -> None:
        """All that came has had its turn, after some of it had to wait for that: read again."""
        super().caught_up()
        if self.fast is not None:
            self.fast.go_on()
        else:
            self._quicken()

    def _unfinished(self) -> int:
        size = super()._unfinished()
        return size if self.fast is None else size + self.fast.held_size

    def _quicken(self) -> None:
        """Let the compiled path stand before us, as soon as nothing is held here."""
        subscription = self.subscription
        if (
            subscription is not None
            and self.state is SubscriptionState.SUBSCRIBED
            and not self.message_pump.behind
            and not self.wire.unparsed
        ):
            channel = subscription.channel
            assert isinstance(channel, SharedChannel)
            self.fast = channel.fast = FastAnswerChannel(self, self._escape)

    def _leave(self) -> None:
        self.fast = None
        super()._leave()


def fast_subscription_protocol(
    log: AccessLog | None,
) -> Callable[[GuestContext, Connections, str], SubscriptionProtocol]:
    """Return what makes a L{FastSubscriptionProtocol} whose exchanges C{log} writes."""
    escape = escaped if log is None else FORMATS[log.style].escape
    return partial(FastSubscriptionProtocol, escape=escape)
