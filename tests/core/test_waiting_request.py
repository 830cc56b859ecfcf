"""A request of the compiled path that was taken from its guest: who gets it, and as what."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.admission import Ticket
from subproxy.core.balancing.member import Member, MemberEvent, MemberState, Pool
from subproxy.core.balancing.pool_owner import PoolOwner
from subproxy.core.exchange import Exchange, RequestHead
from subproxy.errors import GuestRefused, NoSubscriber
from subproxy.wire import messages as m
from tests.rigs.world import Guest, RecordingSink, World


class CompiledRequest:
    """A L{subproxy.core.waiting_request.WaitingRequest}: what was done with it."""

    def __init__(self, world: World, pool: Pool, takes: bool = True) -> None:
        self.sink = RecordingSink()
        head = RequestHead(b"GET", b"/", b"a.example", b"/", [])
        self.exchange = Exchange(head, b"", self.sink, world.dispatcher, pool=pool)
        self.takes = takes
        self.given: list[Member] = []
        self.tickets: list[Ticket] = []

    def goes_to(self, member: Member) -> bool:
        self.given.append(member)
        return self.takes

    def waits(self, ticket: Ticket) -> None:
        self.tickets.append(ticket)

    def as_exchange(self) -> Exchange:
        return self.exchange


class SubmitAgainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guest = self.world.serving("1")
        (self.pool,) = self.world.registry.pools()

    def member(self, identity: str) -> Member:
        (found,) = (each for each in self.pool.members if each.identity == f"vm:{identity}")
        return found

    def again(self, *failed: Member, takes: bool = True) -> CompiledRequest:
        """One that C{failed} have failed, half a second after it came."""
        request = CompiledRequest(self.world, self.pool, takes)
        now = self.world.clock.seconds()
        ticket = request.exchange.ticket = Ticket(request, self.pool, failed, now - 0.5, now + 1.0)
        self.world.dispatcher.submit_again(ticket)
        return request

    def asked(self, guest: Guest) -> int:
        guest.pump()
        return len(guest.take(m.Request))

    def test_who_has_room_gets_it_as_it_is(self) -> None:
        request = self.again()
        self.assertEqual((request.given, request.tickets), ([self.member("1")], []))
        self.assertEqual((self.member("1").in_flight, self.asked(self.guest)), (1, 0))

    def test_who_does_not_take_it_so_gets_an_exchange(self) -> None:
        """It is counted once, and has waited for as long as it was in the queue."""
        request = self.again(takes=False)
        self.assertEqual((self.member("1").in_flight, self.asked(self.guest)), (1, 1))
        self.assertEqual((request.exchange.queued, request.exchange.ticket), (0.5, None))

    def test_who_has_failed_it_does_not_get_it(self) -> None:
        """Another does; where there is none, it waits for one."""
        first = self.member("1")
        request = self.again(first)
        self.assertEqual((request.given, len(request.tickets)), ([], 1))
        self.assertEqual(tuple(request.tickets[0].excluded), (first,))
        self.world.serving("2")
        self.assertEqual(self.again(first).given, [self.member("2")])

    def test_nobody_to_wait_for(self) -> None:
        """Whose guests have been away for long is refused, as an exchange is."""
        self.guest.lose()
        self.world.clock.advance(60.0)
        request = self.again()
        self.assertIsInstance(request.sink.error, NoSubscriber)
        self.assertEqual((request.given, request.tickets), ([], []))

    def test_a_machine_is_woken(self) -> None:
        """Who waits for one to start is an exchange."""
        wanted: list[PoolOwner] = []
        owner = self.pool.owner = PoolOwner("vm", 30.0, wanted.append)
        self.guest.lose()
        request = self.again()
        self.assertEqual((wanted, request.tickets), ([owner], []))
        ticket = request.exchange.ticket
        assert ticket is not None
        self.assertEqual((ticket.exchange, ticket.deadline), (request.exchange, 30.0))

    def test_who_fails_is_asked_where_nobody_else_is_left(self) -> None:
        """It comes back at once, and gets it."""
        self.world.serving("2")
        first = self.member("1")
        failing = self.world.dispatcher.failing
        while first.state == MemberState.READY:
            failing.answered(first, 500)
        self.member("2").feed(MemberEvent.DRAIN, 0.0)
        self.assertEqual(self.again().given, [first])
        self.assertEqual(failing.detector.out, 0)

    def test_taken_back(self) -> None:
        """What a guest refused was not executed: it may move, and that guest has failed it."""
        self.world.serving("2")
        first = self.member("1")
        dispatcher = self.world.dispatcher
        self.assertEqual(
            dispatcher.take_back(self.pool, first, GuestRefused(), b"POST", 1, ()), (first,)
        )
        self.assertEqual(dispatcher.retries, 1)

    def test_not_taken_back(self) -> None:
        """Where there is nobody else, nothing is done, and nothing is paid."""
        dispatcher = self.world.dispatcher
        before = dispatcher.budget(self.pool).balance(0.0)
        found = dispatcher.take_back(self.pool, self.member("1"), GuestRefused(), b"POST", 1, ())
        self.assertIsNone(found)
        self.assertEqual(
            (dispatcher.retries, dispatcher.budget(self.pool).balance(0.0)), (0, before)
        )
