"""What another process of the proxy has passed on: it goes to a guest here, waits, or goes back."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from subproxy.core.balancing.member import Member, MemberEvent, is_peer
from subproxy.core.exchange import Exchange, IChannel, RequestHead
from subproxy.core.routing.route import Route
from subproxy.errors import GuestRefused
from subproxy.wire import messages as m
from tests.rigs.core_strategies import make_member
from tests.rigs.world import Guest, RecordingSink, World

ROUTE = Route(rb"a\.example")


@implementer(IChannel)
class PeerChannel:
    """Another process, which must not be asked what it has asked."""

    identity = "worker:1"
    tunnels = 0

    def send(self, exchange: Exchange) -> None:
        raise AssertionError("it went in a circle")


class DispatchHereTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()

    def peer(self, identity: str = "worker:1") -> Member:
        """Another process that has the route, too."""
        member = make_member(identity)
        member.channel = PeerChannel()
        self.world.registry.register(member, ROUTE, 0.0, limited=False)
        return member

    def pass_on(self, *, patient: bool = False) -> tuple[Exchange, RecordingSink]:
        sink = RecordingSink()
        exchange = Exchange(RequestHead(b"GET", b"/", b"a.example", b"/", []), b"", sink)
        self.world.dispatcher.dispatch_here(exchange, is_peer, patient=patient)
        return exchange, sink

    def asked(self, guest: Guest) -> int:
        guest.pump()
        return len(guest.take(m.Request))

    def assert_refused(self, *, patient: bool = False) -> None:
        """At once; a guest is not at fault, and nothing is counted for it."""
        exchange, sink = self.pass_on(patient=patient)
        self.assertIsInstance(sink.error, GuestRefused)
        self.assertEqual((exchange.attempts, self.world.admission.waiting), (0, 0))

    def assert_waits(self, *, patient: bool = False) -> None:
        waiting = self.world.admission.waiting
        _, sink = self.pass_on(patient=patient)
        self.assertIsNone(sink.error)
        self.assertEqual(self.world.admission.waiting, waiting + 1)

    def test_a_guest_of_this_process(self) -> None:
        """It gets it, and it counts for what its pool may retry."""
        guest = self.world.serving()
        self.peer()
        for count in range(1, 4):
            exchange, _ = self.pass_on()
            self.assertEqual(self.asked(guest), 1)
            assert exchange.pool is not None
            self.assertEqual(self.world.dispatcher.budget(exchange.pool).requests, count)

    def test_no_route(self) -> None:
        for patient in False, True:
            self.assert_refused(patient=patient)

    def test_none_but_others(self) -> None:
        self.peer()
        self.peer("worker:2")
        self.assert_refused()
        self.assert_refused(patient=True)

    def test_a_guest_that_takes_nothing_new(self) -> None:
        """Whoever passed it on finds another; where nobody has one, a patient one waits."""
        self.world.serving().say(m.Drain())
        self.assert_refused()
        self.assert_waits(patient=True)

    def test_a_guest_that_takes_nothing_new_beside_another_process(self) -> None:
        self.world.serving().say(m.Drain())
        self.peer()
        self.assert_refused(patient=True)

    def test_others_that_take_nothing_new_are_nobody(self) -> None:
        self.peer().feed(MemberEvent.DRAIN, 0.0)
        self.assert_refused()
        self.assert_waits(patient=True)

    def test_a_guest_that_has_left(self) -> None:
        self.world.serving().lose()
        self.assert_refused()
        self.assert_waits(patient=True)

    def test_a_guest_that_is_busy_or_silent(self) -> None:
        """It is waited for, and no other process is asked meanwhile."""
        guest = self.world.serving(concurrency=1)
        peer = self.peer()
        self.pass_on()
        self.assertEqual(self.asked(guest), 1)
        self.assert_waits()
        exchange, _ = self.pass_on()
        self.assertEqual(exchange.tried, (peer,))
        (member,) = (each for each in self.world.registry.members() if each is not peer)
        member.feed(MemberEvent.EJECT, 0.0)
        self.assert_waits()
