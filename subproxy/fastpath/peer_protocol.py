"""
A process of the proxy that asks, which the compiled path may stand before.

Both kinds are here: another worker, and another host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from subproxy.core.balancing.member import Member, Pool
from subproxy.fastpath._peer import FastPeer
from subproxy.frontend.peer.host_protocol import HostPeerProtocol
from subproxy.frontend.peer.protocol import PeerProtocol, request_head
from subproxy.frontend.peer.stream import PeerStream
from subproxy.wire import messages as m
from subproxy.wire.frames import decode
from subproxy.wire.states import Side

if TYPE_CHECKING:
    from subproxy.fastpath._channel import FastChannel
    from subproxy.fastpath._connection import FastPath


class BegunRequest(Protocol):
    """
    A L{FastPeerRequest}, which a guest has.

    @ivar number: at the other process.
    @ivar asked: at the guest.
    @ivar frame: as it was sent there.
    """

    number: int
    asked: int
    pool: Pool
    member: Member
    frame: bytes
    channel: FastChannel


class FastPeerProtocol(PeerProtocol):
    """
    Another worker. What it says is given to a L{FastPeer}, as soon as nothing is held here.

    @param path: the compiled path.
    @ivar fast: what stands before this; None until both sides have greeted.
    @ivar onward: see C{LocalDispatcher}.
    """

    def __init__(self, path: FastPath, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fast: FastPeer | None = None
        self._path = path
        self.onward = self._dispatcher.onward

    def bytes_received(self, data: bytes) -> None:
        """Some of what it says came."""
        if self.fast is not None:
            self.fast.dataReceived(data)
            return
        super().bytes_received(data)
        wire = self.wire
        if (
            self.connected
            and wire.theirs is Side.OPEN
            and wire.ours is Side.OPEN
            and not wire.unparsed
        ):
            self.fast = self.make_fast()
            self.fast.awaited = self._idle is not None

    def make_fast(self) -> FastPeer:
        """What stands before this."""
        return FastPeer(self, self._path)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Nobody waits for any answer."""
        if self.fast is not None:
            self.fast.surrender()
        super().connectionLost(reason)

    def when_idle(self) -> Deferred[None]:
        """See L{PeerProtocol}: the compiled path tells it, if it was asked for."""
        if self.fast is not None:
            self.fast.awaited = True
        return super().when_idle()

    @property
    def under_way(self) -> int:
        """How many requests are."""
        return super().under_way + (0 if self.fast is None else len(self.fast))

    def flush(self) -> None:
        """Write what was said, behind what was gathered."""
        if self.fast is not None:
            self.fast.write()
        super().flush()

    def emptied(self) -> None:
        """The compiled path has answered the last one that it had."""
        self._look_whether_idle()

    def adopt(self, begun: BegunRequest) -> None:
        """Go on with C{begun}, in the state that it would have here."""
        number = begun.number
        _, _, method, target, fields, info, body = decode(begun.frame)
        headers = [(name, value) for name, value in fields]
        request = request_head(m.Request(number, method, target, headers, info, body))
        self.wire.adopt_request(number)
        stream = self._streams[number] = PeerStream(self, number, request, body)
        exchange, pool = stream.exchange, begun.pool
        exchange.dispatcher = self._path.factory.context.dispatcher
        exchange.pool = pool
        exchange.tried = tuple(filter(self._dispatcher.goes_no_further, pool.members))
        exchange.holder = begun.member
        begun.channel.channel.adopt(exchange, begun.asked)


class FastHostPeerProtocol(FastPeerProtocol, HostPeerProtocol):
    """Another host; see L{FastPeerProtocol}. What comes may go past this."""

    def make_fast(self) -> FastPeer:
        """See L{FastPeerProtocol}: it notes when something comes."""
        return FastPeer(self, self._path, self._clock.seconds)

    def heard(self) -> float:
        """See L{HostPeerProtocol}."""
        before = super().heard()
        return before if self.fast is None else max(before, self.fast.heard)
