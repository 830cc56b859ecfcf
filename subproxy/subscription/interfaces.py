"""
What the parts of a guest's connection need of those that hold them, and no more.

A part is given its holder as one of these, so that no module imports what is above it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.internet.interfaces import ITransport

from subproxy.core.balancing.member import Member
from subproxy.core.exchange import Exchange
from subproxy.errors import GuestFailure, GuestMisbehaved
from subproxy.subscription.buffer_account import BufferAccount, BufferPart
from subproxy.subscription.close_reason import GuestCloseReason
from subproxy.subscription.states import SubscriptionState
from subproxy.subscription.time_share import TimeShare
from subproxy.wire.connection import WireConnection
from subproxy.wire.fields import Headers

Handlers = Mapping[type[Any], Callable[[Any], None]]
"""What is done with an event of the wire, by its type."""


class GuestReporter(Protocol):
    """Who a guest is, and where it is told what that does."""

    @property
    def identity(self) -> str:
        """Which VM speaks."""

    def say(self, level: Any, text: str, **fields: object) -> None:
        """Log C{text} on behalf of this guest."""

    def offend(self) -> None:
        """It did what no honest guest does."""


class RawConnection(GuestReporter, Protocol):
    """What a L{DataConnection} needs of the connection that it takes over."""

    @property
    def transport(self) -> Any:
        """Its transport."""

    def close_transport(self, why: GuestCloseReason) -> None:
        """Close the transport."""


class PausableTransport(Protocol):
    """A transport that can stop reading."""

    def pauseProducing(self) -> None:
        """Read nothing."""

    def resumeProducing(self) -> None:
        """Read again."""


class PumpedConnection(Protocol):
    """What a L{MessagePump} needs of its connection."""

    @property
    def state(self) -> SubscriptionState:
        """Where it is in its life."""

    @property
    def share(self) -> TimeShare:
        """Of the reactor's time, that of its virtual machine."""

    @property
    def wire(self) -> WireConnection:
        """The protocol state."""

    @property
    def transport(self) -> PausableTransport:
        """What reads."""

    def flush(self) -> None:
        """Write what was said, unless a turn is under way."""

    def caught_up(self) -> None:
        """All that came has had its turn: read again."""


class ChannelConnection(Protocol):
    """What a L{Channel} needs of its connection."""

    @property
    def share(self) -> TimeShare:
        """Of the reactor's time, that of its virtual machine."""

    @property
    def wire(self) -> WireConnection:
        """The protocol state."""

    def flush(self) -> None:
        """Write what was said, unless a turn is under way."""

    def invalid(self, reason: str) -> None:
        """The guest sent a response that is none."""

    def part(self) -> BufferPart:
        """Something else to be held on behalf of the virtual machine."""

    def overdrawn(self) -> bool:
        """Whether more is held of it than may be."""


class SubscriptionConnection(GuestReporter, ChannelConnection, Protocol):
    """What a L{Subscription} needs of its connection."""

    @property
    def state(self) -> SubscriptionState:
        """Where it is in its life."""

    @property
    def behind(self) -> bool:
        """Some of what came is not dealt with yet."""

    def useless(self, weight: float = 1.0) -> None:
        """The guest said what nobody needs."""

    def retire(self) -> None:
        """Another has its place: it finishes what it has, and has nothing more to say."""

    def close(self, code: bytes, reason: str) -> None:
        """Say C{bye} and end the connection."""


class ActiveSubscription(Protocol):
    """What the set of all subscriptions needs of each."""

    @property
    def member(self) -> Member:
        """As the balancer sees it."""

    @property
    def spare(self) -> bool:
        """Whether each of its routes is served by another one, too."""

    def retire(self, successor: Member) -> None:
        """Give its place to C{successor}."""

    def recheck(self) -> None:
        """The policy has changed."""

    def drain(self) -> None:
        """Let it finish what it has, and give it nothing new."""


class Subscriptions(Protocol):
    """The set of all subscriptions, as each of them sees it."""

    def greeted(self, subscription: ActiveSubscription, replaced: Member | None) -> None:
        """C{subscription} begins, in the place of C{replaced}."""

    def left(self, member: Member) -> None:
        """C{member} takes no more part."""


class AdmittedConnection(Protocol):
    """
    What the set of all connections needs of each.

    @ivar identity: which VM speaks; empty if only the transport can tell.
    """

    identity: str

    @property
    def state(self) -> SubscriptionState:
        """Where it is in its life."""

    @property
    def transport(self) -> ITransport:
        """Its transport."""

    def belongs(self, share: TimeShare, held: BufferAccount) -> None:
        """It may stay; its virtual machine has that share, and that is held of it."""

    def close(self, code: bytes, reason: str) -> None:
        """Say C{bye} and end the connection."""


class Connections(Subscriptions, Protocol):
    """The set of all connections of guests, as each of them sees it."""

    def admit(self, connection: AdmittedConnection) -> bool:
        """Whether C{connection} may stay; its identity is known then."""

    def carries(self, connection: AdmittedConnection) -> bool:
        """Whether C{connection} may stay, though it is for bodies."""

    def gone(self, connection: AdmittedConnection) -> None:
        """C{connection} is closed."""


class NumberedExchange(Protocol):
    """An exchange with its number on the wire."""

    @property
    def number(self) -> int:
        """That of the exchange."""

    @property
    def exchange(self) -> Exchange:
        """What has that number."""


class RequestChannel(Protocol):
    """
    What an L{UpstreamRequest} needs of its channel.

    @ivar flush: write what was said, unless a turn is under way.
    """

    flush: Callable[[], None]

    @property
    def wire(self) -> WireConnection:
        """The protocol state."""

    @property
    def identity(self) -> str:
        """Which VM is asked."""

    @property
    def congested(self) -> bool:
        """Whether the guest does not read what is sent."""

    def forget(self, request: NumberedExchange, code: bytes, reason: bytes) -> None:
        """Tell the guest that an exchange is over, if it does not know."""

    def complete(self, request: NumberedExchange, trailers: Headers) -> None:
        """All of a response body has come, and its end."""

    def broke(self, request: NumberedExchange, error: GuestFailure) -> None:
        """The data connection of an exchange failed, and so does that."""

    def misbehaved(self, request: NumberedExchange, error: GuestMisbehaved) -> None:
        """The guest broke a rule in an exchange."""


class TunnelChannel(RequestChannel, Protocol):
    """What a L{TunnelRequest} needs of its channel."""

    def leave(self, request: NumberedExchange) -> None:
        """Both halves of a tunnel have ended."""


class TunnelTransferRequest(NumberedExchange, Protocol):
    """What the transfer of a tunnel needs of the request that it belongs to."""

    @property
    def identity(self) -> str:
        """Which VM dials."""

    @property
    def wire(self) -> WireConnection:
        """The protocol state of the subscription."""

    def flush(self) -> None:
        """Write what was said, unless a turn is under way."""

    def end_raw(self, size: int) -> None:
        """All C{size} bytes of our half have been written."""

    def response_complete(self) -> None:
        """All of the guest's half has come."""

    def transfer_broke(self, error: GuestFailure) -> None:
        """The data connection failed."""

    def transfer_misbehaved(self, error: GuestMisbehaved) -> None:
        """The guest broke a rule."""


class TransferRequest(NumberedExchange, Protocol):
    """What the transfer of a body needs of the request that it belongs to."""

    @property
    def identity(self) -> str:
        """Which VM dials."""

    def end_transfer(self, trailers: Headers, size: int) -> None:
        """All C{size} bytes of the request body have been given to a data connection."""

    def transfer_complete(self, trailers: Headers) -> None:
        """All of the response body has come, and its end."""

    def transfer_broke(self, error: GuestFailure) -> None:
        """The data connection failed."""

    def transfer_misbehaved(self, error: GuestMisbehaved) -> None:
        """The guest broke a rule."""
