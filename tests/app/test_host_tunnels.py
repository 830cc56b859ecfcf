"""Tunnels from host to host that leave their frames for a data connection, in memory."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.exchange import ExchangeState
from subproxy.core.http.upgrade import Upgrade
from subproxy.errors import ClientGone, GuestFailure
from subproxy.subscription.settings import TUNNEL
from subproxy.wire import messages as m
from tests.rigs.memory_hosts import MemoryHosts

PIECE = bytes(range(250)) * 200
MANY = TUNNEL // len(PIECE) + 4


class HostTunnelTests(SynchronousTestCase):
    """C{two} asks C{one}, which has the guest."""

    def setUp(self) -> None:
        self.rig = MemoryHosts(self.mktemp(), "kvm-1", "kvm-2")
        self.one, self.two = self.rig.hosts.values()
        self.rig.introduce(self.one, self.two)
        self.guest = self.rig.serving(self.one, tunnel=[b"websocket"])
        self.exchange, self.sink = self.two.ask(upgrade=Upgrade((b"websocket",)))
        self.rig.pump()
        (request,) = self.guest.take(m.Request)
        self.number = request.exchange
        self.guest.wire.send(m.Response(self.number, 200, [], {}, None))
        self.guest.wire.consumed(self.number, 0)
        self.rig.pump()
        self.taken = 0

    def down(self, times: int = 1) -> None:
        """The guest sends, and the client takes it."""
        for _ in range(times):
            self.guest.wire.write_body(self.number, PIECE)
            self.rig.pump()
            self.drain()

    def drain(self) -> None:
        while len(self.sink.body) > self.taken:
            came, self.taken = len(self.sink.body) - self.taken, len(self.sink.body)
            self.exchange.response_consumed(came)
            self.rig.pump()

    def up(self, times: int = 1) -> bytes:
        """The client sends, and the guest takes it."""
        found = b""
        for _ in range(times):
            self.exchange.request_data(PIECE)
            self.rig.pump()
            found += self.take()
        return found

    def take(self) -> bytes:
        """The guest takes what has come for it."""
        found = b""
        while pieces := self.guest.take(m.Body):
            for each in pieces:
                found += each.data
                self.guest.wire.consumed(self.number, len(each.data))
            self.rig.pump()
        return found

    def end(self, guest_first: bool) -> None:
        """Both halves end; then nothing of it is left."""
        ends: list[Callable[[], None]] = [
            lambda: self.guest.wire.end_body(self.number),
            lambda: self.exchange.request_end([]),
        ]
        for each in ends if guest_first else reversed(ends):
            self.assertEqual(1, self.one.links._asking[0].under_way)
            each()
            self.rig.pump()
            self.drain()
        self.assertEqual(1, len(self.guest.take(m.End)))
        self.assertEqual((True, ExchangeState.DONE), (self.sink.complete, self.exchange.state))
        self.assertEqual(0, self.one.links._asking[0].under_way)
        self.assertEqual([], self.two.carriers)

    def test_little(self) -> None:
        """It stays in frames; and either half may end first."""
        for guest_first in (True, False):
            self.down()
            self.assertEqual(PIECE, self.up())
            self.end(guest_first)
            self.assertEqual({}, self.two.counts)
            if guest_first:
                self.setUp()

    def test_much(self) -> None:
        """It moves, when much has come from the guest: no byte is lost, nor twice there."""
        for guest_first in (True, False):
            self.down(MANY)
            self.assertEqual({"issued": 1, "claimed": 1}, self.two.counts)
            self.assertEqual(1, len(self.two.carriers))
            self.assertEqual(PIECE * 3, self.up(3))
            self.down(3)
            self.assertEqual(PIECE * (MANY + 3), self.sink.body)
            self.end(guest_first)
            if guest_first:
                self.setUp()

    def test_one_half_ended_before_the_other_moved(self) -> None:
        """What was written of the other is not lost with the connection."""
        self.exchange.request_end([])
        self.rig.pump()
        self.assertEqual(1, len(self.guest.take(m.End)))
        self.down(MANY)
        self.assertEqual({"issued": 1, "claimed": 1}, self.two.counts)
        for _ in range(3):
            self.guest.wire.write_body(self.number, PIECE)
        self.guest.wire.end_body(self.number)
        self.rig.pump()
        self.drain()
        self.assertIsNone(self.sink.error)
        self.assertEqual(PIECE * (MANY + 3), self.sink.body)
        self.assertTrue(self.sink.complete)
        self.assertEqual(0, self.one.links._asking[0].under_way)
        self.assertEqual([], self.two.carriers)

    def test_the_guests_half_ended_before_the_clients_moved(self) -> None:
        """Likewise the other way."""
        self.guest.wire.end_body(self.number)
        self.rig.pump()
        self.assertEqual(PIECE * MANY, self.up(MANY))
        self.assertEqual({"issued": 1, "claimed": 1}, self.two.counts)
        for _ in range(3):
            self.exchange.request_data(PIECE)
        self.exchange.request_end([])
        self.rig.pump()
        self.assertEqual(PIECE * 3, self.take())
        self.assertEqual(1, len(self.guest.take(m.End)))
        self.assertTrue(self.sink.complete)
        self.assertIsNone(self.sink.error)
        self.assertEqual(0, self.one.links._asking[0].under_way)
        self.assertEqual([], self.two.carriers)

    def test_much_from_the_client(self) -> None:
        """Likewise the other way."""
        self.assertEqual(PIECE * MANY, self.up(MANY))
        self.assertEqual({"issued": 1, "claimed": 1}, self.two.counts)
        self.assertEqual(PIECE * 3, self.up(3))
        self.down(3)
        self.end(True)

    def test_moved_amid_a_window(self) -> None:
        """What waits for credit is the first that goes raw; its end, too."""
        self.down(MANY - 5)
        self.guest.wire.write_body(self.number, PIECE * 5)
        self.guest.wire.end_body(self.number)
        self.rig.pump()
        self.drain()
        self.assertEqual(PIECE * MANY, self.sink.body)
        self.exchange.request_end([])
        self.rig.pump()
        self.assertTrue(self.sink.complete)
        self.assertEqual([], self.two.carriers)

    def test_nobody_is_reached(self) -> None:
        """It stays in frames."""
        self.two.port += 100
        self.down(MANY)
        self.rig.let_pass(2.5)
        self.down(3)
        self.assertEqual(PIECE * 2, self.up(2))
        self.assertEqual(PIECE * (MANY + 3), self.sink.body)
        self.end(True)

    def test_its_connection_breaks(self) -> None:
        """Then it is broken, for both."""
        self.down(MANY)
        (carrier,) = self.two.carriers
        carrier.transport.abortConnection()
        self.rig.pump()
        self.assertIsInstance(self.sink.error, GuestFailure)
        self.assertEqual(1, len(self.guest.take(m.Abort)))

    def test_the_client_leaves(self) -> None:
        """The guest hears of it, and the connection is closed."""
        self.down(MANY)
        self.exchange.cancel(ClientGone())
        self.rig.pump()
        self.assertEqual(1, len(self.guest.take(m.Abort)))
        self.assertEqual([], self.two.carriers)
        self.assertEqual(0, self.one.links._asking[0].under_way)

    def test_the_host_dies(self) -> None:
        """The client sees that it broke."""
        self.down(MANY)
        self.rig.cut()
        self.assertIsInstance(self.sink.error, GuestFailure)
        self.assertEqual(1, len(self.guest.take(m.Abort)))
