"""
One process of a proxy twice, with and without the compiled path, in memory: another one asks it.

The same happens to both, and whoever looks sees the same: L{tests.rigs.fastpath_rig} does likewise
with a client.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from subproxy.core.balancing.member import Member, is_peer
from subproxy.core.exchange import Exchange
from subproxy.frontend.peer.protocol import PeerProtocol
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.limits import Limits
from subproxy.wire.states import Role
from tests.rigs.fastpath_rig import GuestTransport, Side, SidePair


class AskedSide(Side):
    """A proxy with one guest, which another process asks."""

    def __init__(self, fast: bool, asker: Limits | None = None, **options: Any) -> None:
        super().__init__(fast, **options)
        make: Any = PeerProtocol
        if fast:
            from subproxy.fastpath.peer_protocol import FastPeerProtocol

            make = partial(FastPeerProtocol, self.fastpath)
        self.peer: PeerProtocol = make(self, 0, (), instance="i")
        self.peer_transport = GuestTransport()
        self.peer_gone = False
        self.peer.makeConnection(self.peer_transport)
        wire = WireConnection(Role.PROXY, asker)
        wire.feed(self.peer_transport.value())
        wire.next_event()
        wire.send(m.Welcome(limits_info(wire.limits)))
        self.peer.dataReceived(wire.data_to_send())
        self.peer_transport.clear()

    def dispatch_here(self, exchange: Exchange) -> None:
        """See C{LocalDispatcher}."""
        self.world.dispatcher.dispatch_here(exchange, is_peer)

    onward = False

    def goes_no_further(self, member: Member) -> bool:
        return is_peer(member)

    def seen(self) -> dict[str, object]:
        """All that can be seen from outside since the last call."""
        # What was gathered in a turn is written at its end.
        self.world.clock.advance(0)
        peer, guest, member = self.peer_transport, self.guest_transport, self.member
        budgets = [pool.retries for pool in self.world.registry.pools()]
        outcomes = member and member.outcomes
        result: dict[str, object] = {
            "peer": peer.value(),
            "peer closed": (peer.disconnecting, peer.aborted),
            "guest": guest.value(),
            "guest closed": (guest.disconnecting, guest.aborted),
            "in flight": member and member.in_flight,
            "exchanges": self.guest.subscription and len(self.guest.subscription.channel),
            "waiting": self.world.admission.waiting,
            "under way": self.peer.under_way,
            "asked": [budget and budget.requests for budget in budgets],
            "outcomes": outcomes and (outcomes.answers, outcomes.row),
        }
        peer.clear()
        guest.clear()
        return result


class AskedPair(SidePair[AskedSide]):
    """Both, and what happens to them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(AskedSide(True, **options), AskedSide(False, **options))

    def ask(self, *pieces: bytes) -> None:
        """The other process writes; each piece is one read."""
        for piece in pieces:
            for side in self.sides:
                if not side.peer_gone and not side.peer_transport.aborted:
                    side.peer.dataReceived(piece)
            self._same("ask", piece)

    def guest(self, *pieces: bytes) -> None:
        """The guest writes; each piece is one read."""
        for piece in pieces:
            for side in self.sides:
                if not side.guest_gone and not side.guest_transport.aborted:
                    side.guest.dataReceived(piece)
            self._same("guest", piece)

    def stall(self, stalled: bool) -> None:
        """The other process takes nothing more, or all."""
        for side in self.sides:
            if not side.peer_gone:
                (side.peer.pauseProducing if stalled else side.peer.resumeProducing)()
        self._same("stall", stalled)

    def stall_guest(self, stalled: bool) -> None:
        """The guest takes nothing more, or all."""
        for side in self.sides:
            if not side.guest_gone:
                (side.guest.pauseProducing if stalled else side.guest.resumeProducing)()
        self._same("stall guest", stalled)

    def drain(self) -> None:
        """This process says that it takes no more."""
        for side in self.sides:
            if not side.peer_gone:
                side.peer.drain()
        self._same("drain", None)

    def lose(self) -> None:
        """The other process is gone."""
        for side in self.sides:
            if not side.peer_gone:
                side.peer_gone = True
                side.peer.connectionLost(Failure(ConnectionDone()))
        self._same("lose", None)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        for side in self.sides:
            side.world.advance(seconds)
        self._same("wait", seconds)
