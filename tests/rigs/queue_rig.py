"""
The two paths beside each other, with several clients who ask one busy guest: who waits, and for
how long, and whose turn it is, must be the same.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from subproxy.core.balancing.admission import AdmissionLimits
from subproxy.core.balancing.member import MemberEvent
from subproxy.telemetry.recent_requests import RecentRequests
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.states import Role
from tests.rigs.fake_dispatcher import Transport
from tests.rigs.fastpath_rig import PREFIX, GuestTransport, Side, SidePair, response

LIMITS = AdmissionLimits(pool=4, total=6, busy=3.0, vacant=2.0)


class Client:
    """One client's connection."""

    def __init__(self, side: QueueSide) -> None:
        self.transport = Transport(side.address)
        self.protocol: Any = side.factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.gone = False


class SecondGuest:
    """Another guest, which serves a.example too."""

    def __init__(self, side: QueueSide) -> None:
        self.wire = WireConnection(Role.GUEST)
        self.protocol: Any = side.world.factory.buildProtocol(None)
        self.transport = GuestTransport(peerAddress=IPv4Address("TCP", "2", 1))
        self.protocol.makeConnection(self.transport)
        info = {
            **limits_info(self.wire.limits),
            b"application": b"app",
            b"instance": b"i",
            b"concurrency": 1,
        }
        for message in (m.Hello(info), m.Register(1, b"a\\.example", b"/.*")):
            self.wire.send(message)
            self.protocol.dataReceived(self.wire.data_to_send())
        self.transport.clear()
        self.gone = False


class QueueSide(Side):
    """A proxy, its guest, and clients."""

    def __init__(self, fast: bool, clients: int = 6, **options: Any) -> None:
        options.setdefault("concurrency", 1)
        # What the compiled path chooses, and then leaves to Python, is chosen twice.
        super().__init__(fast, random=lambda: 0.3, **options)
        self.second: SecondGuest | None = None
        self.world.admission.set_limits(LIMITS)
        self.log.recent = RecentRequests()
        self.others = [Client(self) for _ in range(clients)]

    def seen(self) -> dict[str, object]:
        """See L{Side.seen}; with what each client got, and how long the queues are."""
        result = super().seen()
        lines, count = result["log"]  # type: ignore[misc]
        if count and self.log.recent is not None:
            self.log.recent.keep(lines)
            ids = re.findall(rb"%b-[0-9a-f]{8}|id-7" % PREFIX, lines)
            result["ways"] = [self.log.recent.find(each.decode()) for each in ids]
        for number, each in enumerate(self.others):
            transport = each.transport
            result[f"client {number}"] = (
                transport.value(),
                transport.disconnecting,
                transport.aborted,
                each.protocol.close_reason,
            )
            transport.clear()
        second = self.second
        if second is not None:
            result["second"] = (second.transport.value(), second.transport.disconnecting)
            result["second's"] = second.protocol.subscription and len(
                second.protocol.subscription.channel
            )
            second.transport.clear()
        result["verdicts"] = dict(self.world.dispatcher.verdicts)
        admission = self.world.admission
        pools = list(self.world.registry.pools())
        result["queues"] = [
            (len(admission.tickets(pool)), pool.waiting, admission.oldest(pool)) for pool in pools
        ]
        result["next deadline"] = admission.next_deadline()
        result["budgets"] = [pool.retries and pool.retries.requests for pool in pools]
        return result


class QueuePair(SidePair[QueueSide]):
    """
    Both, and what happens to them.

    @ivar posting: clients whose POST was not answered yet. If its guest is lost, it is answered at
        once, and what is behind it begins, amid others that are tried again: in no fixed order.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(QueueSide(True, **options), QueueSide(False, **options))
        self.posting: set[int] = set()

    def _same(self, what: str, value: object) -> None:
        super()._same(what, value)
        self.posting = {each for each in self.posting if not self.last[f"client {each}"][0]}

    @property
    def asked(self) -> int:
        """The number of the last request that the guest was given."""
        slow = self.sides[1]
        subscription = slow.guest.subscription
        return 0 if subscription is None else slow.guest.wire.last

    def client(self, number: int, *pieces: bytes) -> None:
        """Client C{number} writes; each piece is one read."""
        if b"POST" in pieces[0]:
            self.posting.add(number)
        for piece in pieces:
            for side in self.sides:
                each = side.others[number]
                if not each.gone:
                    each.protocol.dataReceived(piece)
            self._same(f"client {number}", piece)

    def leave(self, number: int, half: bool = False) -> None:
        """Client C{number} leaves, or says that it has no more to say."""
        for side in self.sides:
            each = side.others[number]
            if each.gone:
                continue
            if half:
                each.protocol.readConnectionLost()
            else:
                each.protocol.connectionLost(Failure(ConnectionDone()))
            each.gone = True
        self._same("half close" if half else "leave", number)

    def guest(self, *pieces: bytes) -> None:
        """The guest writes; each piece is one read."""
        for piece in pieces:
            for side in self.sides:
                if not side.guest_gone:
                    side.guest.dataReceived(piece)
            self._same("guest", piece)

    def give_up(self, number: int, code: bytes = b"refused", reason: bytes = b"") -> None:
        """The guest gives request C{number} up."""
        self.guest(m.Abort(number, code, reason).encode())

    def join(self) -> None:
        """A second guest comes, if there is none."""
        for side in self.sides:
            if side.second is None:
                side.second = SecondGuest(side)
        self._same("join", None)

    def second(self, data: bytes) -> None:
        """The second guest writes."""
        for side in self.sides:
            if side.second is not None and not side.second.gone:
                side.second.protocol.dataReceived(data)
        self._same("second", data)

    @property
    def asked_second(self) -> int:
        """The number of the last request that the second guest was given."""
        second = self.sides[1].second
        return 0 if second is None or second.gone else second.protocol.wire.last

    def lose_second(self) -> None:
        """The second guest is gone."""
        for side in self.sides:
            if side.second is not None and not side.second.gone:
                side.second.gone = True
                side.second.protocol.connectionLost(Failure(ConnectionDone()))
        self._same("lose second", None)

    def answer(self, number: int, status: int = 200) -> None:
        """The guest answers request C{number}."""
        self.guest(response(number, status))

    def wait(self, seconds: float) -> None:
        """Time passes, with its sweeps."""
        for side in self.sides:
            side.world.advance(seconds)
        self._same("wait", seconds)

    def feed(self, event: MemberEvent) -> None:
        """What an operator, or a ping, says of the guest."""
        for side in self.sides:
            member = side.member
            if member is not None:
                member.feed(event, side.world.clock.seconds())
                side.world.dispatcher.capacity(member)
        self._same("member", event)

    def grant(self, concurrency: int) -> None:
        """The guest takes so many at once from now on."""
        for side in self.sides:
            member = side.member
            if member is not None:
                member.concurrency = concurrency
                side.world.dispatcher.capacity(member)
        self._same("grant", concurrency)

    def limits(self, limits: AdmissionLimits) -> None:
        """A reload."""
        for side in self.sides:
            side.world.admission.set_limits(limits)
        self._same("limits", limits)

    def lose(self) -> None:
        """All clients leave."""
        for number in range(len(self.fast.others)):
            self.leave(number)
        for side in self.sides:
            if not side.gone:
                side.gone = True
                side.protocol.connectionLost(Failure(ConnectionDone()))

    def close(self) -> None:
        """See L{SidePair.close}."""
        self.lose_second()
        super().close()
