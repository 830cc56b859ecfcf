"""
One proxy twice, in memory: with the compiled path and without. The same happens to both, and
whoever looks sees the same: the bytes to the client, the frames to the guest, the log, the numbers.

    pair = Pair()
    pair.client(b"GET / HTTP/1.1\\r\\nHost: a.example\\r\\n\\r\\n")
    pair.guest(b'...response frame...')
    pair.settle()                              # raises Differ if anything differs
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.forwarded import Forwarding, Trust
from subproxy.core.http.request_id import RequestIds
from subproxy.core.sites.site import Site
from subproxy.core.sites.site_table import SiteTable
from subproxy.fastpath.http1_factory import FastHttp1Factory
from subproxy.fastpath.install import unavailable
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.limits import HttpLimits
from subproxy.subscription.registrar import TLS_NAMES
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.telemetry.access_log import AccessLog
from subproxy.telemetry.counters import Counters, ExchangeLogFanOut
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.limits import Limits as WireLimits
from subproxy.wire.states import Role
from tests.rigs.fake_dispatcher import Transport
from tests.rigs.private_site import WALL, sites_of
from tests.rigs.world import World

PREFIX = b"0123456789abcdef"


class Differ(AssertionError):
    """The two paths do not do the same."""


class Side:
    """A proxy with one guest (a.example and b.example) and one client."""

    def __init__(
        self,
        fast: bool,
        limits: HttpLimits | None = None,
        wire: WireLimits | None = None,
        concurrency: int = 0,
        address: str = "192.0.2.7",
        trust: list[str] | None = None,
        share: float = math.inf,
        style: str = "combined",
        tunnel: list[bytes] | None = None,
        moves: int | None = None,
        sites: str | Sequence[Site] = "",
        tls: ClientTls | None = None,
        told: Sequence[bytes] = (),
        random: Callable[[], float] | None = None,
    ) -> None:
        self.world = World(
            # Both may take all the time of a turn: how much is used depends on the path.
            SubscriptionSettings(
                ping_interval=1e6,
                ping_timeout=2e6,
                timeout=3e6,
                share=share,
                **({} if moves is None else {"tunnel": moves}),
            )
        )
        clock = self.world.clock
        clock.advance(1000)
        if random is not None:
            self.world.random.random = random  # type: ignore[method-assign]
        if isinstance(sites, str):
            sites = sites_of(sites)
        self.world.router.set_sites(SiteTable(sites))
        self.world.dispatcher.entrance.wall = lambda: WALL + clock.seconds() - 1000
        self.world.registrar.tells_tls = TLS_NAMES
        self.log = AccessLog("/dev/null", style, clock, clock.seconds)
        self.counters = Counters()
        fast = fast and unavailable() is None
        self.factory = (FastHttp1Factory if fast else Http1Factory)(
            self.world.dispatcher,
            limits,
            clock,
            ExchangeLogFanOut(self.counters, self.log),
            Forwarding(Trust(trust or [])),
            clock.seconds,
            clock.seconds,
        )
        self.factory.context.rules.ids = RequestIds(PREFIX)
        self.fastpath: Any = None
        if fast:
            from subproxy.fastpath.subscription_protocol import fast_subscription_protocol

            assert isinstance(self.factory, FastHttp1Factory)
            self.fastpath = self.factory.use_fastpath(self.log, self.counters)
            self.world.factory.protocol = fast_subscription_protocol(self.log)
        self.factory.doStart()
        self.address = address
        self.tls = tls
        self.wire = WireConnection(Role.GUEST, wire)
        self.guest_gone = False
        self.guest = self.world.factory.buildProtocol(None)
        self.guest_transport = GuestTransport(peerAddress=IPv4Address("TCP", "1", 1))
        self.guest.makeConnection(self.guest_transport)
        info = {
            **limits_info(self.wire.limits),
            b"application": b"app",
            b"instance": b"i",
            b"concurrency": concurrency,
        }
        if tunnel is not None:
            info[b"tunnel"] = tunnel
            info[b"bulk"] = True
        for message in (
            m.Hello(info),
            m.Register(1, b"a\\.example", b"/.*", {b"tls": list(told)} if told else {}),
            m.Register(2, b"b\\.example", b"/.*"),
        ):
            self.wire.send(message)
            self.guest.dataReceived(self.wire.data_to_send())
        self.guest_transport.clear()
        self.connect()

    def connect(self) -> None:
        """A client connects."""
        self.transport = Transport(self.address)
        self.transport.tls = self.tls
        self.protocol: Any = self.factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.gone = False
        self.ended = False

    @property
    def member(self) -> Any:
        """The guest, as the balancer sees it."""
        subscription = self.guest.subscription
        return None if subscription is None else subscription.member

    def _counts(self) -> object:
        return {
            name: (
                dict(counters.statuses),
                (counters.sent, counters.received),
                (counters.first_byte.counts, counters.first_byte.total),
                (counters.last_byte.counts, counters.last_byte.total),
            )
            for name, counters in self.counters.routes.items()
        }

    def seen(self) -> dict[str, object]:
        """All that can be seen from outside since the last call."""
        client, guest = self.transport, self.guest_transport
        result: dict[str, object] = {
            "client": client.value(),
            "closed": (client.disconnecting, client.halfClosed, client.aborted),
            "close reason": self.protocol.close_reason,
            "guest": guest.value(),
            "guest closed": (guest.disconnecting, guest.aborted),
            "log": self.log.waiting.take(),
            "counts": self._counts(),
            "in flight": self.member and self.member.in_flight,
            "exchanges": self.guest.subscription and len(self.guest.subscription.channel),
            "active": self.factory.active,
            "waiting": self.world.admission.waiting,
            "connections": len(self.factory.connections),
        }
        client.clear()
        guest.clear()
        return result


class GuestTransport(StringTransport):
    """A guest's end."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        self.disconnecting = True

    def pauseProducing(self) -> None:
        self.producerState = "paused"

    def resumeProducing(self) -> None:
        self.producerState = "producing"


AnySide = TypeVar("AnySide", bound=Side)


class SidePair(Generic[AnySide]):
    """
    Both sides, with and without the compiled path, and what happens to them.

    @ivar last: what was seen last, of either: it is the same.
    """

    def __init__(self, fast: AnySide, slow: AnySide) -> None:
        self.sides = [fast, slow]
        self.history: list[tuple[str, object]] = []
        self.last: dict[str, Any] = {}

    @property
    def fast(self) -> AnySide:
        return self.sides[0]

    @property
    def stats(self) -> dict[str, Any]:
        """What the compiled path has counted."""
        stats: dict[str, Any] = self.fast.fastpath.stats()
        return stats

    def lose(self) -> None:
        """Who asks is gone."""
        raise NotImplementedError

    def lose_guest(self) -> None:
        """The guest is gone."""
        for side in self.sides:
            if not side.guest_gone:
                side.guest_gone = True
                side.guest.connectionLost(Failure(ConnectionDone()))
        self._same("lose guest", None)

    def close(self) -> None:
        """
        Both ends leave, which is compared too, and the logs are closed.

        What is in flight holds its client where the collector of garbage does not look: a pair
        that is dropped in the middle of an exchange is not freed.
        """
        self.lose()
        self.lose_guest()
        for side in self.sides:
            side.log.close()

    def _same(self, what: str, value: object) -> None:
        self.history.append((what, value))
        fast, slow = (side.seen() for side in self.sides)
        self.last = slow
        if fast != slow:
            different = {key: (fast[key], slow[key]) for key in fast if fast[key] != slow[key]}
            history = "\n".join(
                f"  {what} {str(value)[:300]}" for what, value in self.history[-40:]
            )
            raise Differ(f"fast, slow: {str(different)[:3000]}\nafter\n{history}")


class Pair(SidePair[Side]):
    """Both sides, with a client each."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Side(True, **options), Side(False, **options))

    def connect(self) -> None:
        """Another client comes; what becomes of the former is no longer looked at."""
        for side in self.sides:
            side.connect()
        self._same("connect", None)

    def client(self, *pieces: bytes) -> None:
        """The client writes; each piece is one read."""
        for piece in pieces:
            for side in self.sides:
                if not side.gone and not side.ended:
                    side.protocol.dataReceived(piece)
            self._same("client", piece)

    def guest(self, *pieces: bytes) -> None:
        """The guest writes; each piece is one read."""
        for piece in pieces:
            for side in self.sides:
                if side.guest_transport.producerState == "producing":
                    side.guest.dataReceived(piece)
                else:
                    side.world.advance(0)
                    side.guest.dataReceived(piece)
            self._same("guest", piece)

    def wait(self, seconds: float) -> None:
        """Time passes, with its sweeps; looked at each half second, and less often later."""
        passed = 0.0
        while seconds > 0:
            step = min(0.5 if passed < 2 else 2.5, seconds)
            for side in self.sides:
                side.world.advance(step)
            passed += step
            seconds -= step
            self._same("wait", seconds)

    def half_close(self) -> None:
        """The client will send no more."""
        for side in self.sides:
            if not side.gone and not side.ended:
                side.ended = True
                side.protocol.readConnectionLost()
        self._same("half close", None)

    def leave(self, half: bool = False) -> None:
        """
        The client has closed, or only its half, and the kernel has not told: nobody reads.

        For use where neither side does: the compiled one reads again before the next request.
        """
        for side in self.sides:
            side.transport.leave(half)
        self._same("leave", half)

    def lose(self) -> None:
        """The client is gone."""
        for side in self.sides:
            if not side.gone:
                side.gone = True
                side.protocol.connectionLost(Failure(ConnectionDone()))
        self._same("lose", None)

    def stall(self) -> None:
        """The client takes nothing more."""
        for side in self.sides:
            side.transport.stalled = True

    def drain(self) -> None:
        """It takes all."""
        for side in self.sides:
            side.transport.drain()
        self._same("drain", None)

    def stall_guest(self) -> None:
        """The guest takes nothing more."""
        for side in self.sides:
            side.guest.pauseProducing()
        self._same("stall guest", None)

    def drain_guest(self) -> None:
        """It takes all."""
        for side in self.sides:
            side.guest.resumeProducing()
        self._same("drain guest", None)


def response(
    number: int,
    status: int = 200,
    headers: list[tuple[bytes, bytes]] | None = None,
    body: bytes | None = b"hello",
    info: dict[bytes, object] | None = None,
) -> bytes:
    """A response frame."""
    return m.Response(number, status, headers or [], info or {}, body).encode()
