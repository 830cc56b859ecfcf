"""The exchanges of one subscription, some of which the compiled path has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from subproxy.core.balancing.member import Member
from subproxy.core.exchange import Exchange
from subproxy.errors import GuestFailure
from subproxy.fastpath.tunnel_numbers import TunnelNumbers
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.bodies.response_transfer import ResponseTransfer
from subproxy.subscription.bodies.tokens import PendingClaim
from subproxy.subscription.bodies.transfer import RequestTransfer
from subproxy.subscription.channel import Channel
from subproxy.subscription.context import GuestContext
from subproxy.subscription.interfaces import ChannelConnection
from subproxy.subscription.tunnel_request import TunnelRequest
from subproxy.subscription.upstream_request import UpstreamRequest
from subproxy.wire import messages as m

_AT_ONCE = 16
"""Exchanges of the compiled path that are taken over between two looks at the clock."""


class CompiledTunnels(Protocol):
    """Those of a L{GuestTunnels}."""

    @property
    def count(self) -> int:
        """How many, those that wait for an answer among them."""


class CompiledExchanges(Protocol):
    """
    Those that the compiled path has: a L{FastChannel}.

    @ivar count: how many.
    """

    @property
    def count(self) -> int:
        """How many."""

    @property
    def tunnels(self) -> CompiledTunnels:
        """Those among them that are tunnels."""

    def tell(self) -> None:
        """Let the wire know how far numbers are: before Python has anything to do with them."""

    def learn(self) -> None:
        """Python has taken a number."""

    def surrender(self, most: int | None = None) -> list[int]:
        """Move exchanges to the Python path: all, or so many; returns their numbers."""

    def move(self, error: GuestFailure, timer: Callable[[], float], until: float) -> bool:
        """
        Give exchanges to other guests, in the order in which they began.

        As long as C{timer} says less than C{until}; those that can't move go to the Python path.

        @return: whether there are more.
        """

    def hold_up(self, congested: bool) -> None:
        """The guest does not read what we send, or reads again: so are the clients of tunnels."""

    def close(self) -> None:
        """The subscription ends: begin nothing more."""


class SharedChannel(Channel):
    """
    A channel whose numbers the compiled path takes too, once it stands before the connection.

    @ivar fast: what it has, from then on.
    """

    __slots__ = ("fast",)

    def __init__(
        self, connection: ChannelConnection, member: Member, context: GuestContext
    ) -> None:
        super().__init__(connection, member, context)
        self.fast: CompiledExchanges | None = None

    def __len__(self) -> int:
        return super().__len__() + (0 if self.fast is None else self.fast.count)

    @property
    def tunnels(self) -> int:
        """See L{IChannel}."""
        return super().tunnels + (0 if self.fast is None else self.fast.tunnels.count)

    def pause(self) -> None:
        """See L{Channel.pause}."""
        super().pause()
        if self.fast is not None:
            self.fast.hold_up(True)

    def resume(self) -> None:
        """See L{Channel.resume}."""
        super().resume()
        if self.fast is not None:
            self.fast.hold_up(False)

    def adopt(self, exchange: Exchange, number: int) -> None:
        """C{exchange} was sent under C{number} by the compiled path, and is ours from now on."""
        self.wire.adopt(number)
        carrier = self._carriers[number] = UpstreamRequest(self, number, exchange)
        exchange.taken(self.member, carrier)

    def adopt_tunnel(
        self,
        exchange: Exchange,
        number: int,
        protocol: bytes,
        begun: TunnelNumbers | None = None,
    ) -> None:
        """
        C{exchange} was sent under C{number} by the compiled path, and is counted as a tunnel.

        @param protocol: for which its guest was asked.
        @param begun: what has gone through it; None: it was not accepted yet.
        """
        wire = self.wire.adopt_tunnel(number)
        carrier = TunnelRequest(self, number, exchange, protocol, self._context)
        self._carriers[number] = carrier
        exchange.taken(self.member, carrier)
        if begun is not None:
            wire.resume_tunnel(begun.sent, begun.available, begun.received, begun.left, begun.owed)
            carrier.resume(begun.much_sent, begun.much_received)

    def adopt_download(
        self,
        number: int,
        length: int,
        promise: PendingClaim[DataConnection],
        moved: int,
        ended: bool,
    ) -> ResponseTransfer:
        """
        The head of the answer to C{number}, which was adopted, has come, and its token is out.

        @param length: bytes of the body; so many were C{moved} already.
        @param ended: its C{end} has come.
        """
        self.wire.adopt_download(number, ended)
        carrier = self._carriers[number]
        transfer = ResponseTransfer(carrier, self._context, length, promise, moved)
        carrier.download = transfer
        return transfer

    def adopt_ahead(self, number: int, promise: PendingClaim[DataConnection]) -> ResponseTransfer:
        """
        C{number}, which was adopted, had a token for the body of its response, which has not come.

        @param promise: that token; it may be claimed already.
        """
        carrier = self._carriers[number]
        transfer = carrier.ahead = ResponseTransfer(
            carrier, self._context, None, promise, headed=False
        )
        return transfer

    def adopt_upload(
        self,
        exchange: Exchange,
        number: int,
        promise: PendingClaim[DataConnection],
        sent: int,
    ) -> RequestTransfer:
        """
        C{exchange} was sent under C{number}, and its body is to go over a data connection.

        @param promise: its token, which is out.
        @param sent: bytes of the body that went there.
        """
        self.wire.adopt(number, whole=False)
        carrier = self._carriers[number] = UpstreamRequest(self, number, exchange)
        exchange.taken(self.member, carrier)
        transfer = carrier.upload = RequestTransfer(carrier, self._context, promise, sent)
        return transfer

    @property
    def carriers(self) -> dict[int, UpstreamRequest]:
        """The exchanges of the Python path, by number: the same dictionary until C{lost}."""
        return self._carriers

    @property
    def context(self) -> GuestContext:
        """What all guests share."""
        return self._context

    def disown(self, number: int) -> None:
        """The answer to C{number} has come, by the compiled path."""
        del self._carriers[number]
        del self.wire.exchanges[number]

    def lost(self, error: GuestFailure) -> None:
        """See L{Channel.lost}."""
        fast = self.fast
        if fast is not None:
            fast.close()
            share = self._connection.share
            if fast.move(error, share.timer, share.timer() + share.most):
                self._context.clock.callLater(0, self.lost, error)
                return
        super().lost(error)
        if self.fast is not None and not self.fast.count:
            self.fast = None

    def next_number(self) -> int:
        """See L{Channel.next_number}; the compiled path has taken some."""
        if self.fast is not None:
            self.fast.tell()
        return super().next_number()

    def _say(self, request: m.Request) -> None:
        super()._say(request)
        if self.fast is not None:
            self.fast.learn()

    def _take_over(self) -> list[int]:
        if self.fast is None or not self.fast.count:
            return []
        return self.fast.surrender(_AT_ONCE)
