"""What becomes of an exchange, from dispatch to its end."""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from subproxy.core.balancing import retry
from subproxy.core.balancing.admission import (
    MACHINE_DOWN,
    MACHINE_STARTING,
    NO_ROUTE,
    NO_SUBSCRIBER,
    QUEUE_FULL,
    QUEUE_TIMEOUT,
    Admission,
    AdmissionLimits,
    Refuse,
)
from subproxy.core.balancing.retry import RetryDecision
from subproxy.core.exchange import Exchange, ExchangeState, IDispatcher
from subproxy.core.refusals import REFUSALS, refusal
from subproxy.errors import (
    ClientGone,
    GuestGone,
    GuestRefused,
    NoRoute,
    NoSubscriber,
    QueueTimeout,
    Unavailable,
)
from subproxy.wire import messages as m
from tests.rigs.world import Guest, RecordingSink, World


class DispatcherTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.dispatcher = self.world.dispatcher

    def requests(self, guest: Guest) -> list[m.Request]:
        guest.pump()
        return guest.take(m.Request)

    def test_interface(self) -> None:
        verifyObject(IDispatcher, self.dispatcher)

    def test_requests_are_counted_for_the_budget_of_their_pool(self) -> None:
        self.world.serving("1")
        for _ in range(3):
            exchange, _ = self.world.ask()
        assert exchange.pool is not None
        self.assertEqual(self.dispatcher.budget(exchange.pool).requests, 3)

    def test_who_is_refused_by_the_only_one_is_told(self) -> None:
        """There is nobody else to ask: one that drains is given nothing new."""
        for others in 0, 1:
            self.setUp()
            for number in range(others):
                self.world.serving(f"drains {number}").say(m.Drain())
            first = self.world.serving("1")
            _, sink = self.world.ask()
            (request,) = self.requests(first)
            first.say(m.Abort(request.exchange, b"refused"))
            self.assertIsInstance(sink.error, GuestRefused)

    def test_a_pool_that_may_not_queue(self) -> None:
        """Who finds nobody free is refused at once."""
        self.world.serving("1").lose()
        self.dispatcher.admission = Admission(
            self.world.admission.balancer, self.world.random, AdmissionLimits(vacant=0)
        )
        _, sink = self.world.ask()
        self.assertIsInstance(sink.error, NoSubscriber)

    def test_every_move_is_counted_and_frees_who_had_it(self) -> None:
        guests = [self.world.serving(str(number)) for number in range(3)]
        _, sink = self.world.ask()
        for moved in 1, 2:
            (one,) = (guest for guest in guests if self.requests_peeked(guest))
            (request,) = self.requests(one)
            one.say(m.Abort(request.exchange, b"refused"))
            self.assertEqual(self.dispatcher.retries, moved)
            assert one.protocol.subscription.member is not None
            self.assertEqual(one.protocol.subscription.member.in_flight, 0)
        self.assertIsNone(sink.error)

    def requests_peeked(self, guest: Guest) -> bool:
        guest.pump()
        return any(isinstance(event, m.Request) for event in guest.events)

    def test_what_may_move(self) -> None:
        """Unexecuted, or idempotent; and only with all of its body."""
        self.world.serving("1")
        self.world.serving("2")
        gone, refused = GuestGone(), GuestRefused()
        for method, body, begun, after_gone, after_refused in (
            (b"GET", b"", False, True, True),
            (b"POST", b"x", False, False, True),
            (b"PUT", None, False, True, True),
            (b"PUT", None, True, False, False),
            (b"POST", None, True, False, False),
        ):
            exchange, _ = self.world.ask(method, body=body)
            if begun:
                exchange.request_data(b"x")
            for error, may in (gone, after_gone), (refused, after_refused):
                self.assertIs(self.dispatcher.may_take(exchange, error, replaced=False), may)

    def frozen(self, sink_of: bytes = b"GET") -> tuple[Guest, Exchange, RecordingSink]:
        """A guest that has a request, and stops answering pings."""
        guest = self.world.serving("1")
        exchange, sink = self.world.ask(sink_of)
        self.requests(guest)
        return guest, exchange, sink

    def miss(self, guest: Guest) -> None:
        subscription = guest.protocol.subscription
        assert subscription is not None
        subscription._missed()

    def test_what_may_not_move_stays_with_a_frozen_guest(self) -> None:
        """It is asked for before it is taken: the guest may thaw, and answer it."""
        for why in "budget", "attempts", "nobody", "queue":
            self.setUp()
            guest, exchange, sink = self.frozen()
            assert exchange.pool is not None
            if why != "nobody":
                self.world.serving("2", concurrency=1)
            if why == "budget":
                budget = self.dispatcher.budget(exchange.pool)
                while budget.withdraw(0.0):
                    pass
            elif why == "attempts":
                exchange.attempts = retry.MAX_ATTEMPTS
            elif why == "queue":
                self.dispatcher.admission = Admission(
                    self.world.admission.balancer, self.world.random, AdmissionLimits(pool=0)
                )
                (other,) = (m for m in exchange.pool.members if m is not exchange.member)
                other.in_flight = 1
            self.miss(guest)
            self.assertIs(exchange.state, ExchangeState.SENT, why)
            self.assertIsNone(sink.error, why)
            self.assertEqual(self.requests(guest), [])
            self.assertEqual(guest.take(m.Abort), [], why)
            guest.say(m.Response(1, 200, [], {}, b"thawed"))
            self.assertEqual(sink.body, b"thawed", why)
            self.assertEqual(self.dispatcher.retries, 0)

    def test_it_moves_when_somebody_comes(self) -> None:
        """Who can take what a frozen guest has may come later."""
        guest, exchange, sink = self.frozen()
        subscription = guest.protocol.subscription
        assert subscription is not None
        subscription._missed()
        second = self.world.serving("2")
        subscription._still_missed()
        self.assertEqual(len(self.requests(second)), 1)
        guest.pump()
        self.assertEqual([abort.code for abort in guest.take(m.Abort)], [b"timeout"])
        second.say(m.Response(1, 200, [], {}, b"moved"))
        self.assertEqual((sink.body, exchange.attempts), (b"moved", 2))
        self.assertEqual(self.dispatcher.verdicts[RetryDecision.NOBODY], 1)

    def test_what_is_over_does_not_move(self) -> None:
        """Whose client has left is neither taken nor paid for; its guest may die in peace."""
        first = self.world.serving("1")
        exchange, sink = self.world.ask()
        self.world.serving("2")
        exchange.cancel(ClientGone())
        self.assertIs(self.dispatcher.may_take(exchange, GuestGone(), replaced=True), False)
        self.dispatcher.lost(exchange, GuestGone())
        first.lose()
        self.assertEqual((sink.error, exchange.state), (None, ExchangeState.DONE))
        self.assertEqual(set(self.dispatcher.verdicts.values()), {0})

    def test_a_retry_is_paid_for_once(self) -> None:
        guest, exchange, _ = self.frozen()
        assert exchange.pool is not None
        self.world.serving("2")
        budget = self.dispatcher.budget(exchange.pool)
        before = budget.balance(0.0)
        self.miss(guest)
        self.assertEqual((before - budget.balance(0.0), self.dispatcher.retries), (1.0, 1))

    def test_what_is_taken_back_is_paid_for(self) -> None:
        """A request of the compiled path moves as long as its pool has a budget."""
        self.world.serving("1")
        exchange, _ = self.world.ask()
        self.world.serving("2")
        pool, member = exchange.pool, exchange.member
        assert pool is not None
        assert member is not None
        budget = self.dispatcher.budget(pool)
        before, moved = budget.balance(0.0), 0
        take = (pool, member, GuestRefused(), b"GET", 1, ())
        while self.dispatcher.take_back(*take) == (member,):
            moved += 1
            self.assertEqual(self.dispatcher.retries, moved)
        self.assertEqual(moved, int(before))
        self.assertLess(budget.balance(0.0), 1.0)
        self.assertIsNone(self.dispatcher.take_back(*take))
        self.assertEqual(self.dispatcher.retries, moved)

    def test_a_post_and_a_response_that_has_begun_stay(self) -> None:
        for method, begun in (b"POST", False), (b"GET", True):
            self.setUp()
            guest, exchange, sink = self.frozen(method)
            self.world.serving("2")
            if begun:
                guest.say(m.Response(1, 200, [], {}, None))
            self.miss(guest)
            guest.pump()
            self.assertEqual(guest.take(m.Abort), [])
            self.assertIsNone(sink.error)
            self.assertIsNot(exchange.state, ExchangeState.DONE)

    def test_no_route(self) -> None:
        """What nobody serves is not found."""
        _, sink = self.world.ask(host=b"nobody")
        self.assertIsInstance(sink.error, NoRoute)

    def test_get_moves_when_its_guest_dies(self) -> None:
        """An idempotent request goes to another, and the client notices nothing."""
        first = self.world.serving("1")
        exchange, sink = self.world.ask()
        self.assertEqual(len(self.requests(first)), 1)
        second = self.world.serving("2")
        first.lose()
        (request,) = self.requests(second)
        second.say(m.Response(request.exchange, 200, [], {}, b"ok"))
        self.assertEqual((sink.body, exchange.attempts), (b"ok", 2))
        self.assertEqual(self.dispatcher.retries, 1)

    def test_get_may_come_back_to_one_that_has_returned(self) -> None:
        """A guest that was ejected and answers again is as good as any, for what it lost then."""
        first = self.world.serving("1")
        exchange, sink = self.world.ask()
        self.requests(first)
        second = self.world.serving("2")
        first.protocol.subscription._missed()
        self.assertEqual(len(self.requests(second)), 1)
        first.protocol.subscription._returned()
        second.lose()
        (request,) = self.requests(first)
        first.say(m.Response(request.exchange, 200, [], {}, b"ok"))
        self.assertEqual((sink.body, exchange.attempts), (b"ok", 3))

    def test_get_does_not_come_back_to_one_that_refused(self) -> None:
        """One that is there and gave it up is not asked again."""
        first = self.world.serving("1")
        _, sink = self.world.ask()
        (request,) = self.requests(first)
        first.say(m.Abort(request.exchange, b"refused"))
        self.assertIsInstance(sink.error, GuestRefused)
        self.assertEqual(self.requests(first), [])

    def test_post_is_never_executed_twice(self) -> None:
        """A POST that a dying guest may have executed fails."""
        first = self.world.serving("1")
        _, sink = self.world.ask(b"POST", body=b"x")
        self.requests(first)
        second = self.world.serving("2")
        first.lose()
        self.assertIsInstance(sink.error, GuestGone)
        self.assertEqual(self.requests(second), [])
        self.assertEqual(self.dispatcher.verdicts[RetryDecision.UNSAFE], 1)

    def test_a_refused_post_moves(self) -> None:
        """A guest that refuses says that it executed nothing."""
        first = self.world.serving("1")
        _, sink = self.world.ask(b"POST", body=b"x")
        (request,) = self.requests(first)
        second = self.world.serving("2")
        first.say(m.Abort(request.exchange, b"refused"))
        (request,) = self.requests(second)
        self.assertEqual(request.body, b"x")
        second.say(m.Response(request.exchange, 201, []))
        self.assertTrue(sink.complete)

    def test_a_streamed_body_is_not_replayed(self) -> None:
        """What was streamed to a guest is gone with it."""
        first = self.world.serving("1")
        exchange, sink = self.world.ask(b"PUT", body=None)
        exchange.request_data(b"part")
        self.world.serving("2")
        first.lose()
        self.assertIsInstance(sink.error, GuestGone)

    def test_an_unbegun_stream_moves(self) -> None:
        """A stream of which nothing was sent is paused, and begins with the next guest."""
        first = self.world.serving("1")
        exchange, sink = self.world.ask(b"PUT", body=None)
        first.lose()
        self.assertTrue(sink.paused)
        second = self.world.serving("2")
        self.assertFalse(sink.paused)
        exchange.request_data(b"all")
        exchange.request_end([])
        self.requests(second)
        self.assertEqual([body.data for body in second.take(m.Body)], [b"all"])

    def test_not_after_the_response_began(self) -> None:
        """Once the client has seen a head there is no other answer."""
        first = self.world.serving("1")
        _, sink = self.world.ask()
        (request,) = self.requests(first)
        first.say(m.Response(request.exchange, 200, [], {}, None))
        self.world.serving("2")
        first.lose()
        self.assertIsInstance(sink.error, GuestGone)

    def test_a_short_gap_is_bridged(self) -> None:
        """Requests wait for a guest that restarts."""
        self.world.serving("1").lose()
        _, sink = self.world.ask()
        self.world.advance(5)
        self.assertIsNone(sink.error)
        returned = self.world.guest("1")
        returned.hello(instance=b"i2")
        returned.register(b"a\\.example")
        (request,) = self.requests(returned)
        returned.say(m.Response(request.exchange, 200, []))
        self.assertTrue(sink.complete)

    def test_granted_concurrency(self) -> None:
        """A guest is given no more than it granted; the rest waits its turn, in order."""
        guest = self.world.serving("1", concurrency=1)
        asked = [self.world.ask(target=b"/%d" % number) for number in range(3)]
        for number, (exchange, sink) in enumerate(asked):
            (request,) = self.requests(guest)
            self.assertEqual(request.target, b"/%d" % number)
            guest.say(m.Response(request.exchange, 200, []))
            self.assertTrue(sink.complete)
            self.assertEqual(exchange.state, ExchangeState.DONE)
        member = guest.protocol.subscription.member
        assert member is not None
        self.assertEqual(member.in_flight, 0)

    def test_waiting_ends(self) -> None:
        """Who waits for a busy guest for too long is told so."""
        guest = self.world.serving("1", concurrency=1)
        self.world.ask()
        exchange, sink = self.world.ask()
        for _ in range(10):
            guest.pump()
            self.world.advance(1)
        self.assertIsInstance(sink.error, QueueTimeout)
        self.assertEqual((exchange.queued, exchange.wake), (10.0, 0.0))

    def test_a_client_that_leaves_does_not_wait(self) -> None:
        """Its place in the queue is given up."""
        guest = self.world.serving("1", concurrency=1)
        _, _ = self.world.ask()
        exchange, _ = self.world.ask(target=b"/left")
        exchange.cancel(ClientGone())
        _, sink = self.world.ask(target=b"/stays")
        (request,) = self.requests(guest)
        guest.say(m.Response(request.exchange, 200, []))
        (request,) = self.requests(guest)
        self.assertEqual(request.target, b"/stays")
        guest.say(m.Response(request.exchange, 200, []))
        self.assertTrue(sink.complete)
        self.assertEqual(self.world.admission.waiting, 0)

    def test_refusals(self) -> None:
        """Each refusal of admission has its error, with Retry-After."""
        codes = {NO_SUBSCRIBER, QUEUE_FULL, QUEUE_TIMEOUT, MACHINE_DOWN, MACHINE_STARTING, NO_ROUTE}
        self.assertEqual(set(REFUSALS), codes)
        for code, kind in REFUSALS.items():
            error = refusal(Refuse(code, 7))
            self.assertIsInstance(error, kind)
            if code != NO_ROUTE:
                self.assertIsInstance(error, Unavailable)
                self.assertEqual((error.retry_after, error.status), (7, 503))
        self.assertIsNone(refusal(Refuse(NO_ROUTE, 0)).retry_after)
