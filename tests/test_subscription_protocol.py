"""The life of a subscription's connection."""

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.conduct import AGAIN, BURST, RATE
from subproxy.core.member import State as MemberState
from subproxy.core.policy import Policy, Quotas
from subproxy.endpoints.addresses import VsockAddress
from subproxy.endpoints.identity import identityOfPeer
from subproxy.errors import GuestGone
from subproxy.subscription.factory import SubscriptionFactory
from subproxy.subscription.protocol import TRANSITIONS, State
from subproxy.subscription.settings import Settings
from subproxy.wire import messages as m
from subproxy.wire.frames import encode

from .world import World


class GreetingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guest = self.world.guest("10")

    def test_welcome(self) -> None:
        """A hello is answered with the limits, the identity and the times, and a first ping."""
        self.guest.answer_pings = False
        self.guest.hello()
        (welcome,) = self.guest.take(m.Welcome)
        self.assertEqual(welcome.info[b"identity"], b"vm:10")
        self.assertEqual((welcome.info[b"ping"], welcome.info[b"timeout"]), (3000, 15000))
        self.assertIs(self.guest.protocol.state, State.SUBSCRIBED)

    def test_hello_must_come_in_time(self) -> None:
        """A connection that says nothing is closed."""
        self.world.clock.advance(Settings().greeting_timeout)
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Bye)[0].code, b"timeout")
        self.world.clock.advance(Settings().closing_timeout)
        self.assertTrue(self.guest.transport.disconnected)

    def test_hello_without_application(self) -> None:
        """A hello that lacks something is refused with the reason, and the connection closed."""
        self.guest.say(m.Hello({b"version": 1, b"instance": b"i"}))
        (refused,) = self.guest.take(m.Refused)
        self.assertEqual((refused.reference, refused.code), (0, b"hello"))
        self.assertEqual(self.guest.take(m.Bye)[0].code, b"refused")

    def test_wrong_version(self) -> None:
        """A version that we don't speak ends the connection with a reason."""
        self.guest.say(m.Hello({b"version": 2, b"application": b"a", b"instance": b"i"}))
        (refused,) = self.guest.take(m.Refused)
        self.assertEqual((refused.reference, refused.code), (0, b"version"))
        (bye,) = self.guest.take(m.Bye)
        self.assertEqual(bye.code, b"refused")
        self.assertIn(b"version 2", bye.reason)

    def test_garbage(self) -> None:
        """Bytes that are no frame end the connection, whatever they are."""
        self.guest.protocol.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Bye)[0].code, b"frame")

    def test_a_flood_of_what_is_ignored(self) -> None:
        """Frames of no interest take turns like all others, and do no harm."""
        self.guest.hello()
        self.guest.protocol.dataReceived(b"8:5:later,]" * 3_500)
        self.assertEqual(self.guest.transport.producerState, "paused")
        for _ in range(3_500 // Settings().events_a_turn):
            self.world.clock.advance(0)
        self.assertEqual(self.guest.transport.producerState, "producing")
        self.assertIs(self.guest.protocol.state, State.SUBSCRIBED)

    def test_a_flood_waits(self) -> None:
        """Of what nobody needs no more is read than a little; then it goes on where it was."""
        self.guest.hello()
        flood = b"8:5:later,]" * int(2 * BURST)
        self.guest.protocol.dataReceived(flood)
        for _ in range(1000):
            self.world.clock.advance(0)
        self.assertEqual(self.guest.transport.producerState, "paused")
        unread = self.guest.protocol.wire.unparsed
        self.assertLess(abs(unread - len(flood) / 2), 1000)
        self.assertTrue(self.guest.protocol.behind)
        for _ in range(1000):
            self.world.clock.advance(BURST / RATE / 900)
        self.assertEqual(self.guest.protocol.wire.unparsed, 0)
        self.assertFalse(self.guest.protocol.behind)
        self.assertEqual(self.guest.transport.producerState, "producing")
        self.assertIs(self.guest.protocol.state, State.SUBSCRIBED)

    def offend(self, times: int, identity: str = "10") -> None:
        for _ in range(times):
            guest = self.world.guest(identity)
            guest.protocol.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
            guest.lose()

    def test_who_offends_waits(self) -> None:
        """
        The next connections of an identity are accepted and not heard for a while, if it has
        offended often; those it has are none the worse, nor is anybody else.
        """
        self.guest.hello()
        self.offend(5)
        late = self.world.guest("10")
        late.hello(instance=b"i2", worker=1)
        self.assertEqual(late.transport.producerState, "paused")
        self.assertEqual(late.take(m.Welcome), [])
        self.world.guest("11").hello()
        self.assertEqual(len(self.world.factory.subscriptions), 3)
        self.world.clock.advance(0.1)
        self.assertEqual(late.take(m.Welcome), [])
        self.world.clock.advance(0.1)
        late.pump()
        self.assertEqual(late.transport.producerState, "producing")
        self.assertEqual(len(late.take(m.Welcome)), 1)
        self.assertIs(self.guest.protocol.state, State.SUBSCRIBED)

    def test_who_offends_meanwhile_waits_longer(self) -> None:
        """Connections that wait together don't come together."""
        self.offend(4)
        first, second = self.world.guest("10"), self.world.guest("10")
        first.protocol.dataReceived(b"nonsense")
        second.hello()
        self.world.clock.advance(0.1)
        self.assertIs(first.protocol.state, State.CLOSING)
        self.assertEqual(second.take(m.Welcome), [])
        self.world.clock.advance(0.2)
        second.pump()
        self.assertEqual(len(second.take(m.Welcome)), 1)

    def test_leaves_while_it_waits(self) -> None:
        """Then nothing is left of it; nor of one that we close."""
        self.offend(4)
        calls = len(self.world.clock.getDelayedCalls())
        guest = self.world.guest("10")
        self.assertEqual(len(self.world.clock.getDelayedCalls()), calls + 1)
        guest.lose()
        self.assertEqual(len(self.world.clock.getDelayedCalls()), calls)
        closed = self.world.guest("10")
        closed.protocol.close(b"shutdown", "the proxy stops")
        self.world.clock.advance(0.1)
        self.assertFalse(closed.transport.disconnected)
        self.world.clock.advance(Settings().closing_timeout)
        self.assertTrue(closed.transport.disconnected)

    def test_a_greeting_that_does_not_come_is_an_offence(self) -> None:
        """It is none if the guest just hangs up."""
        conduct = self.world.registrar.conduct
        for _ in range(5):
            self.world.guest("10").lose()
        self.assertEqual(conduct.penalty("vm:10", 0.0), 0.0)
        late = [self.world.guest("10") for _ in range(5)]
        self.world.clock.advance(Settings().greeting_timeout)
        self.assertGreater(conduct.penalty("vm:10", self.world.clock.seconds()), 0.0)
        self.assertIs(late[0].protocol.state, State.CLOSING)

    def test_data_connection(self) -> None:
        """A connect that nobody asked for is closed."""
        self.guest.say(m.Connect(1, b"token"))
        self.assertIs(self.guest.protocol.state, State.DATA)
        self.assertTrue(self.guest.transport.disconnected)
        self.assertEqual(self.world.factory.tokens.counts["unknown"], 1)

    def test_quota_of_connections(self) -> None:
        """One identity's connections are counted; another's are not affected."""
        world = World()
        world.registrar.policy = Policy(None, Quotas(connections=2))
        first, second = world.guest("1"), world.guest("1")
        third = world.guest("1")
        self.assertTrue(third.transport.disconnecting)
        third.lose()
        self.assertFalse(world.guest("2").transport.disconnecting)
        first.lose()
        self.assertFalse(world.guest("1").transport.disconnecting)
        self.assertFalse(second.transport.disconnecting)

    def test_who_dials_too_often(self) -> None:
        """Connections that come and go are counted too, and the rest refused; by identity."""
        for _ in range(Quotas().connections - 1):
            self.world.guest("10").lose()
        refused = self.world.guest("10")
        self.assertTrue(refused.transport.disconnecting)
        refused.lose()
        self.assertFalse(self.world.guest("11").transport.disconnecting)
        self.world.clock.advance(AGAIN)
        self.assertFalse(self.world.guest("10").transport.disconnecting)

    def test_refused_by_its_address(self) -> None:
        """Where the address tells who it is, nothing is built for whom is refused."""
        world = World()
        world.registrar.policy = Policy(None, Quotas(connections=1))
        factory = SubscriptionFactory(
            world.clock,
            world.dispatcher,
            world.registrar,
            lambda transport: self.fail("it was known"),
            recognise=identityOfPeer,
        )
        protocol = factory.buildProtocol(VsockAddress(7, 1024))
        assert protocol is not None
        self.assertEqual(protocol.identity, "cid:7")
        protocol.makeConnection(StringTransport())
        self.assertIsNone(factory.buildProtocol(VsockAddress(7, 1025)))
        self.assertIsNotNone(factory.buildProtocol(VsockAddress(8, 1024)))
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertIsNotNone(factory.buildProtocol(VsockAddress(7, 1026)))

    def test_hello_and_what_follows_it(self) -> None:
        """Are two things for who has had its share of a turn of the reactor."""
        self.world.factory.turns.spent = lambda: True  # type: ignore[method-assign]
        self.guest.hello()
        self.guest.wire.send(m.Register(1, b"a", b"/.*"))
        self.guest.pump()
        self.assertIs(self.guest.protocol.state, State.GREETING)
        self.world.factory.turns._next()
        self.assertIs(self.guest.protocol.state, State.SUBSCRIBED)
        self.assertEqual(len(self.world.registry), 0)
        self.world.factory.turns._next()
        self.assertEqual(len(self.world.registry), 1)

    def test_transitions_end(self) -> None:
        """Nothing comes after CLOSED, and every state can reach it."""
        self.assertEqual(TRANSITIONS[State.CLOSED], frozenset())
        for state in State:
            if state is not State.CLOSED:
                self.assertIn(State.CLOSED, TRANSITIONS[state])


class SubscribedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guest = self.world.serving("10")

    def test_register_and_unregister(self) -> None:
        """Routes come and go one by one, each acknowledged."""
        self.guest.register(b"b", b"/x/.*", reference=2)
        self.assertEqual(self.guest.take(m.Registered), [m.Registered(2)])
        self.assertIsNotNone(self.world.router.lookup(b"b", b"/x/1"))
        self.guest.say(m.Unregister(2))
        self.assertEqual(self.guest.take(m.Unregistered), [m.Unregistered(2)])
        _, sink = self.world.ask(host=b"b", target=b"/x/1")
        self.assertIsNone(sink.error)
        self.world.advance(10)
        assert sink.error is not None
        self.assertEqual(sink.error.status, 503)
        self.world.advance(1)
        _, sink = self.world.ask(host=b"b", target=b"/x/1")
        assert sink.error is not None
        self.assertEqual(sink.error.status, 404)

    def test_bad_pattern(self) -> None:
        """A bad pattern is refused with a reason that a person understands."""
        self.guest.register(b"(", reference=2)
        (refused,) = self.guest.take(m.Refused)
        self.assertEqual(refused.reference, 2)
        self.assertIn(b"host", refused.reason)

    def test_reference_in_use(self) -> None:
        """A reference names one route at a time."""
        self.guest.register(b"c", reference=1)
        self.assertEqual(self.guest.take(m.Refused)[0].code, b"reference")

    def test_a_newer_instance_replaces(self) -> None:
        """The newer instance is there at once, and the older told."""
        newer = self.world.serving("10", instance=b"i2")
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Bye)[0].code, b"replaced")
        exchange, _ = self.world.ask()
        assert exchange.member is not None
        self.assertEqual(exchange.member.instance, b"i2")
        self.guest.lose()
        exchange, _ = self.world.ask()
        assert exchange.member is not None
        self.assertEqual(exchange.member.instance, b"i2")
        newer.pump()
        self.assertEqual(len(newer.take(m.Request)), 2)

    def test_a_replaced_instance_answers_what_must_not_be_repeated(self) -> None:
        """Then it is told; what may be repeated has gone to the newer one, and so have routes."""
        _, posted = self.world.ask(b"POST", body=b"x")
        got, _ = self.world.ask()
        self.guest.pump()
        number = self.guest.take(m.Request)[0].exchange
        older = self.guest.protocol
        self.world.serving("10", instance=b"i2")
        self.assertIs(older.state, State.RETIRING)
        assert got.member is not None
        self.assertEqual(got.member.instance, b"i2")
        self.guest.register(b"b\\.example", reference=7)
        self.guest.say(m.Unregister(1))
        self.guest.say(m.Drain())
        older.recheck()
        older.drain()
        self.world.clock.pump([1.0] * 6)
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Bye), [])
        self.assertEqual(self.guest.take(m.Registered), [])
        self.guest.say(m.Response(number, 200, [], {}, b"done"))
        self.assertEqual(posted.body, b"done")
        self.world.clock.advance(0)
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Bye)[0].code, b"replaced")
        self.assertIs(older.state, State.CLOSING)

    def test_a_replaced_instance_that_is_no_more(self) -> None:
        """It does not answer the next ping: what it had has failed."""
        _, sink = self.world.ask(b"POST", body=b"x")
        self.guest.answer_pings = False
        self.world.serving("10", instance=b"i2")
        self.assertIsNone(sink.error)
        settings = Settings()
        for _ in range(int(settings.ping_interval + settings.ping_timeout) * 2):
            self.world.clock.advance(0.5)
            self.guest.pump()
        self.assertIsInstance(sink.error, GuestGone)
        self.assertIs(self.guest.protocol.state, State.CLOSING)

    def test_after_bye(self) -> None:
        """What still comes is read to its end, so that no VMM hangs; but not without one."""
        protocol, transport = self.guest.protocol, self.guest.transport
        protocol.close(b"done", "")
        for _ in range(16):
            protocol.dataReceived(b"x" * 65536)
        self.assertFalse(transport.disconnecting)
        protocol.dataReceived(b"x")
        self.assertTrue(transport.disconnecting)

    def test_others_are_not_replaced(self) -> None:
        """Another VM, application or worker shares the pool."""
        self.world.serving("11", instance=b"i2")
        self.world.serving("10", instance=b"i3", worker=1)
        self.world.serving("10", instance=b"i4", application=b"other")
        self.assertEqual(len(list(self.world.registry.members())), 4)

    def test_frozen_guest_is_ejected_then_given_up(self) -> None:
        """Without pongs: nothing new, then closed; its route is gone with it."""
        self.guest.answer_pings = False
        member = self.guest.protocol.member
        assert member is not None
        settings = Settings()
        for _ in range(int(settings.ping_interval + settings.ping_timeout) * 2):
            self.world.clock.advance(0.5)
            self.guest.pump()
        self.assertEqual(MemberState(member.state), MemberState.EJECTED)
        _, sink = self.world.ask()
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Request), [])
        for _ in range(int(settings.timeout) * 2):
            self.world.advance(0.5)
        assert sink.error is not None
        self.assertEqual(sink.error.status, 503)
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Bye)[0].code, b"timeout")
        self.assertEqual(MemberState(member.state), MemberState.GONE)

    def test_late_pong_revives(self) -> None:
        """A guest that answers again is used again."""
        self.guest.answer_pings = False
        member = self.guest.protocol.member
        assert member is not None
        while member.state != MemberState.EJECTED:
            self.world.clock.advance(0.5)
        data = self.guest.transport.value()
        self.guest.transport.clear()
        self.guest.answer_pings = True
        self.guest.wire.feed(data)
        while (event := self.guest.wire.next_event()) is not None:
            if isinstance(event, m.Ping):
                self.guest.wire.send(m.Pong(event.nonce))
        self.guest.pump()
        self.assertEqual(member.state, MemberState.READY)

    def test_latency_is_measured(self) -> None:
        """The time from ping to pong is the member's latency."""
        self.guest.answer_pings = False
        member = self.guest.protocol.member
        assert member is not None
        while not self.guest.transport.value():
            self.world.clock.advance(0.25)
        self.guest.answer_pings = True
        self.world.clock.advance(0.2)
        self.guest.pump()
        self.assertGreater(member.latency, 0.1)

    def test_a_wrong_nonce_is_no_answer(self) -> None:
        """Only the answer to our own question counts."""
        self.guest.answer_pings = False
        for _ in range(40):
            self.world.clock.advance(0.25)
            if self.guest.transport.value():
                self.guest.transport.clear()
            if self.guest.protocol.state is State.SUBSCRIBED:
                self.guest.wire.send(m.Pong(b"guess"))
                self.guest.protocol.dataReceived(self.guest.wire.data_to_send())
        member = self.guest.protocol.member
        assert member is not None
        self.assertEqual(MemberState(member.state), MemberState.EJECTED)

    def test_concurrency_by_pong(self) -> None:
        """A pong may change how much a guest takes at a time."""
        self.guest.answer_pings = False
        while not self.guest.transport.value():
            self.world.clock.advance(0.25)
        self.guest.wire.feed(self.guest.transport.value())
        ping = self.guest.wire.next_event()
        assert isinstance(ping, m.Ping)
        self.guest.say(m.Pong(ping.nonce, {b"concurrency": 7}))
        member = self.guest.protocol.member
        assert member is not None
        self.assertEqual(member.concurrency, 7)

    def test_drain_of_the_guest(self) -> None:
        """It finishes what it has, and gets nothing new."""
        _, sink = self.world.ask()
        self.guest.pump()
        (request,) = self.guest.take(m.Request)
        self.guest.say(m.Drain())
        _, refused = self.world.ask()
        self.world.advance(10)
        assert refused.error is not None
        self.assertEqual(refused.error.status, 503)
        self.guest.say(m.Response(request.exchange, 200, []))
        self.assertTrue(sink.complete)
        self.guest.say(m.Bye())
        self.assertTrue(self.guest.transport.disconnecting)

    def test_drain_by_the_proxy(self) -> None:
        """The guest is told, and gets nothing new."""
        self.world.factory.drain()
        self.guest.pump()
        self.assertEqual(len(self.guest.take(m.Drain)), 1)

    def test_close_all(self) -> None:
        """Closing fires when every connection has ended."""
        done = self.world.factory.close(b"shutdown", "the proxy stops")
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Bye)[0].code, b"shutdown")
        self.assertNoResult(done)
        self.guest.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertIsNone(self.successResultOf(done))

    def test_close_none(self) -> None:
        """Without subscriptions there is nothing to wait for."""
        self.successResultOf(World().factory.close(b"shutdown", ""))

    def test_a_turn_is_bounded(self) -> None:
        """A million tiny messages leave others their turn."""
        self.guest.answer_pings = False
        frames = encode([b"pong", b"x"]) * 1000
        self.guest.protocol.dataReceived(frames)
        self.assertEqual(self.guest.transport.producerState, "paused")
        left = len(self.guest.protocol.wire.rest())
        self.assertEqual(left, len(frames) * (1000 - Settings().events_a_turn) // 1000)
        self.world.clock.advance(0)
        self.assertEqual(self.guest.transport.producerState, "producing")

    def test_a_guest_that_reads_nothing_is_cut_off(self) -> None:
        """Beyond the backlog that it may leave unread."""
        world = World()
        world.registrar.policy = Policy(None, Quotas(buffer=100_000))
        guest = world.serving("10")
        guest.protocol.pauseProducing()
        for _ in range(12):
            world.ask(b"PUT", body=b"b" * 10_000)
        self.assertTrue(guest.transport.disconnected)

    def test_a_guest_that_reads_may_get_any_amount(self) -> None:
        """What a transport that never paused us has taken is not a backlog."""
        world = World()
        world.registrar.policy = Policy(None, Quotas(buffer=100_000))
        guest = world.serving("10")
        for _ in range(12):
            world.ask(b"PUT", body=b"b" * 10_000)
        self.assertFalse(guest.transport.disconnected)
