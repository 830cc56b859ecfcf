"""The life of a subscription, once it has greeted."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.member import MemberState
from subproxy.errors import GuestGone
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.subscription.states import SubscriptionState
from subproxy.wire import messages as m
from tests.rigs.world import World


class SubscriptionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guest = self.world.serving("10")

    def test_welcome(self) -> None:
        """A hello is answered with the limits, the identity and the times, and a first ping."""
        guest = self.world.guest("11")
        guest.answer_pings = False
        guest.hello()
        (welcome,) = guest.take(m.Welcome)
        self.assertEqual(welcome.info[b"identity"], b"vm:11")
        self.assertEqual((welcome.info[b"ping"], welcome.info[b"timeout"]), (3000, 15000))
        self.assertIs(guest.protocol.state, SubscriptionState.SUBSCRIBED)

    def test_the_run_of_a_machine(self) -> None:
        """Who knows of it tells the guest, which learns by it that it was restored."""
        epochs = self.world.registrar.epochs
        for run in (b"one", b"two", b""):
            epochs.begin("vm:11", run)
            guest = self.world.guest("11")
            guest.hello()
            (welcome,) = guest.take(m.Welcome)
            self.assertEqual(welcome.info.get(b"epoch", b""), run)

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

    def test_the_same_instance_comes_again(self) -> None:
        """The younger connection has its place, and the older is told that it was itself."""
        self.world.serving("10", instance=b"i1")
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Bye)[0].code, b"again")

    def test_what_a_replaced_instance_had_is_aborted(self) -> None:
        """What may go elsewhere is aborted with what happened."""
        self.world.ask(b"POST", body=b"x")
        self.world.ask()
        self.guest.pump()
        self.world.serving("10", instance=b"i2")
        self.guest.pump()
        (abort,) = self.guest.take(m.Abort)
        self.assertEqual((abort.exchange, abort.code), (2, b"error"))
        self.assertIn(b"newer instance", abort.reason)

    def test_a_replaced_instance_answers_what_must_not_be_repeated(self) -> None:
        """Then it is told; what may be repeated has gone to the newer one, and so have routes."""
        _, posted = self.world.ask(b"POST", body=b"x")
        got, _ = self.world.ask()
        self.guest.pump()
        number = self.guest.take(m.Request)[0].exchange
        older = self.guest.protocol
        subscription = older.subscription
        self.world.serving("10", instance=b"i2")
        self.assertIs(older.state, SubscriptionState.RETIRING)
        assert got.member is not None
        self.assertEqual(got.member.instance, b"i2")
        self.guest.register(b"b\\.example", reference=7)
        self.guest.say(m.Unregister(1))
        self.guest.say(m.Drain())
        subscription.recheck()
        subscription.drain()
        self.world.clock.pump([1.0] * 6)
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Bye), [])
        self.assertEqual(self.guest.take(m.Registered), [])
        self.guest.say(m.Response(number, 200, [], {}, b"done"))
        self.assertEqual(posted.body, b"done")
        self.world.clock.advance(0)
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Bye)[0].code, b"replaced")
        self.assertIs(older.state, SubscriptionState.CLOSING)

    def test_a_replaced_instance_that_is_no_more(self) -> None:
        """It does not answer the next ping: what it had has failed."""
        _, sink = self.world.ask(b"POST", body=b"x")
        self.guest.answer_pings = False
        self.world.serving("10", instance=b"i2")
        self.assertIsNone(sink.error)
        settings = SubscriptionSettings()
        for _ in range(int(settings.ping_interval + settings.ping_timeout) * 2):
            self.world.clock.advance(0.5)
            self.guest.pump()
        self.assertIsInstance(sink.error, GuestGone)
        self.assertIs(self.guest.protocol.state, SubscriptionState.CLOSING)

    def test_others_are_not_replaced(self) -> None:
        """Another VM, application or worker shares the pool."""
        self.world.serving("11", instance=b"i2")
        self.world.serving("10", instance=b"i3", worker=1)
        self.world.serving("10", instance=b"i4", application=b"other")
        self.assertEqual(len(list(self.world.registry.members())), 4)

    def test_frozen_guest_is_ejected_then_given_up(self) -> None:
        """Without pongs: nothing new, then closed; its route is gone with it."""
        self.guest.answer_pings = False
        member = self.guest.protocol.subscription.member
        assert member is not None
        settings = SubscriptionSettings()
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
        member = self.guest.protocol.subscription.member
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
        member = self.guest.protocol.subscription.member
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
            if self.guest.protocol.state is SubscriptionState.SUBSCRIBED:
                self.guest.wire.send(m.Pong(b"guess"))
                self.guest.protocol.dataReceived(self.guest.wire.data_to_send())
        member = self.guest.protocol.subscription.member
        assert member is not None
        self.assertEqual(MemberState(member.state), MemberState.EJECTED)

    def pong(self, info: Any) -> None:
        """The guest answers the next ping with that."""
        self.guest.answer_pings = False
        self.guest.transport.clear()
        for _ in range(100):
            self.world.clock.advance(0.25)
            self.guest.wire.feed(self.guest.transport.value())
            self.guest.transport.clear()
            event = self.guest.wire.next_event()
            if isinstance(event, m.Ping):
                break
        assert isinstance(event, m.Ping)
        self.guest.say(m.Pong(event.nonce, info))

    def test_full_by_pong(self) -> None:
        """It gets nothing new until a pong does not say so; what comes meanwhile waits."""
        member = self.guest.protocol.subscription.member
        assert member is not None
        self.pong({b"full": True})
        self.assertEqual(MemberState(member.state), MemberState.FULL)
        _, sink = self.world.ask()
        self.assertEqual(self.guest.take(m.Request), [])
        self.assertIsNone(sink.error)
        self.pong({})
        self.assertEqual(MemberState(member.state), MemberState.READY)
        (request,) = self.guest.take(m.Request)
        self.guest.say(m.Response(request.exchange, 200, []))
        self.assertTrue(sink.complete)

    def test_concurrency_by_pong(self) -> None:
        """A pong may change how much a guest takes at a time."""
        self.guest.answer_pings = False
        while not self.guest.transport.value():
            self.world.clock.advance(0.25)
        self.guest.wire.feed(self.guest.transport.value())
        ping = self.guest.wire.next_event()
        assert isinstance(ping, m.Ping)
        self.guest.say(m.Pong(ping.nonce, {b"concurrency": 7}))
        member = self.guest.protocol.subscription.member
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
