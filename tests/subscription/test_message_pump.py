"""When what comes from a guest is dealt with."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.penalties import BURST, RATE
from subproxy.core.balancing.member import MemberState
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.subscription.states import SubscriptionState
from subproxy.subscription.turn_budget import TurnBudget
from subproxy.wire import messages as m
from subproxy.wire.frames import encode
from tests.rigs.world import World


class FloodTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guest = self.world.guest("10")
        self.guest.hello()

    def test_a_flood_of_what_is_ignored(self) -> None:
        """Frames of no interest take turns like all others, and do no harm."""
        self.guest.protocol.dataReceived(b"8:5:later,]" * 3_500)
        self.assertEqual(self.guest.transport.producerState, "paused")
        for _ in range(3_500 // SubscriptionSettings().events_a_turn):
            self.world.clock.advance(0)
        self.assertEqual(self.guest.transport.producerState, "producing")
        self.assertIs(self.guest.protocol.state, SubscriptionState.SUBSCRIBED)

    def test_a_flood_waits(self) -> None:
        """Of what nobody needs no more is read than a little; then it goes on where it was."""
        flood = b"8:5:later,]" * int(2 * BURST)
        self.guest.protocol.dataReceived(flood)
        for _ in range(1000):
            self.world.clock.advance(0)
        self.assertEqual(self.guest.transport.producerState, "paused")
        unread = self.guest.protocol.wire.unparsed
        self.assertLess(abs(unread - len(flood) / 2), 1000)
        self.assertTrue(self.guest.protocol.message_pump.behind)
        for _ in range(1000):
            self.world.clock.advance(BURST / RATE / 900)
        self.assertEqual(self.guest.protocol.wire.unparsed, 0)
        self.assertFalse(self.guest.protocol.message_pump.behind)
        self.assertEqual(self.guest.transport.producerState, "producing")
        self.assertIs(self.guest.protocol.state, SubscriptionState.SUBSCRIBED)

    def test_a_pong_behind_a_flood_is_waited_for(self) -> None:
        """An application with more routes than it may have is read slowly, by us: it is ejected
        while its answers lie unread, and not given up, for it would begin again for ever."""
        for reference in range(1, 1300):
            self.guest.wire.send(m.Register(reference, b"h%d" % reference, b"/"))
        self.guest.pump()
        self.assertTrue(self.guest.protocol.message_pump.behind)
        for _ in range(2000):
            self.world.advance(0.02)
            self.guest.pump()
        self.assertFalse(self.guest.protocol.message_pump.behind)
        self.assertIs(self.guest.protocol.state, SubscriptionState.SUBSCRIBED)
        (member,) = self.world.registry.members()
        self.assertEqual(MemberState(member.state), MemberState.READY)
        # Who has nothing to say any more is given up as before.
        self.guest.answer_pings = False
        for _ in range(1000):
            self.world.advance(0.02)
            self.guest.pump()
        self.assertIs(self.guest.protocol.state, SubscriptionState.CLOSING)

    def test_a_turn_is_bounded(self) -> None:
        """A million tiny messages leave others their turn."""
        self.guest.answer_pings = False
        frames = encode([b"pong", b"x"]) * 1000
        self.guest.protocol.dataReceived(frames)
        self.assertEqual(self.guest.transport.producerState, "paused")
        left = len(self.guest.protocol.wire.rest())
        self.assertEqual(left, len(frames) * (1000 - SubscriptionSettings().events_a_turn) // 1000)
        self.world.clock.advance(0)
        self.assertEqual(self.guest.transport.producerState, "producing")


class NewcomerTests(SynchronousTestCase):
    """Greeting and registering have a share of each turn of the reactor."""

    def setUp(self) -> None:
        self.world = World()
        self.now = 0.0
        turns = TurnBudget(self.world.clock, 0.001, lambda: self.now)
        self.world.factory.context = replace(self.world.factory.context, turns=turns)
        self.guest = self.world.guest("10")
        self.guest.hello()
        self.guest.register(b"a")
        self.guest.events.clear()
        self.now = 1.0  # the share of this turn is spent

    def test_who_greets_waits(self) -> None:
        """With all that it sends, until a later turn; who has subscribed does not."""
        late = self.world.guest("11")
        late.hello()
        late.register(b"b")
        self.assertIs(late.protocol.state, SubscriptionState.GREETING)
        self.assertEqual(late.transport.producerState, "paused")
        self.assertTrue(late.protocol.message_pump.behind)
        self.guest.say(m.Unregister(1))
        self.assertEqual(self.guest.take(m.Unregistered), [m.Unregistered(1)])
        self.assertEqual(self.guest.transport.producerState, "producing")
        self.world.clock.advance(0)
        late.pump()
        self.assertEqual(late.take(m.Registered), [m.Registered(1)])
        self.assertEqual(late.transport.producerState, "producing")
        self.assertFalse(late.protocol.message_pump.behind)

    def test_who_registers_waits(self) -> None:
        """Behind each route, not behind anything else."""
        for message in (m.Register(2, b"b", b"/"), m.Register(3, b"c", b"/"), m.Unregister(2)):
            self.guest.wire.send(message)
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Registered), [m.Registered(2)])
        self.assertEqual(self.guest.transport.producerState, "paused")
        self.world.clock.advance(0)
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Registered), [m.Registered(3)])
        self.assertEqual(self.guest.take(m.Unregistered), [m.Unregistered(2)])
        self.assertEqual(self.guest.transport.producerState, "producing")

    def test_leaves_while_it_waits(self) -> None:
        """Then it is not heard when its turn comes."""
        late = self.world.guest("11")
        late.hello()
        late.lose()
        self.world.clock.advance(0)
        self.assertIs(late.protocol.state, SubscriptionState.CLOSED)
        self.assertEqual(late.transport.producerState, "paused")
        self.assertEqual(late.transport.value(), b"")

    def test_hello_and_what_follows_it(self) -> None:
        """Are two things for who has had its share of a turn of the reactor."""
        world = World()
        guest = world.guest("10")
        world.factory.context.turns.exhausted = lambda: True  # type: ignore[method-assign]
        guest.hello()
        guest.wire.send(m.Register(1, b"a", b"/.*"))
        guest.pump()
        self.assertIs(guest.protocol.state, SubscriptionState.GREETING)
        world.factory.context.turns._next()
        self.assertIs(guest.protocol.state, SubscriptionState.SUBSCRIBED)
        self.assertEqual(len(world.registry), 0)
        world.factory.context.turns._next()
        self.assertEqual(len(world.registry), 1)


class ShareTests(SynchronousTestCase):
    """A virtual machine has a share of each turn of the reactor, in time, over all connections."""

    def setUp(self) -> None:
        self.world = World()
        self.now = 0.0
        self.guests = [self.world.guest("10") for _ in range(3)]
        for number, guest in enumerate(self.guests):
            guest.hello(b"app%d" % number)
        [self.share] = {guest.protocol.share for guest in self.guests}
        self.share.timer = self.tick
        self.share.most = 10.0

    def tick(self) -> float:
        """Each look at the clock finds it a second later."""
        self.now += 1.0
        return self.now

    def test_over_all_connections(self) -> None:
        """Who has used it up does not speak on another connection; a neighbour does."""
        conduct = self.world.registrar.penalties
        self.patch(conduct.__class__, "count_useless", lambda *a: 0.0)
        frames = b"8:5:later,]" * 2000
        self.guests[0].protocol.dataReceived(frames)
        self.assertTrue(self.guests[0].protocol.message_pump.behind)
        left = self.guests[0].protocol.wire.unparsed
        self.assertGreater(left, len(frames) // 2)
        for guest in self.guests[1:]:
            guest.register(b"a", reference=7)
            self.assertEqual(guest.transport.producerState, "paused")
        other = self.world.guest("11")
        other.hello()
        other.register(b"b")
        self.assertEqual(len(other.take(m.Registered)), 1)
        self.assertEqual(len(self.world.registry), 1)
        for _ in range(100):
            self.world.clock.advance(0)
        self.assertEqual(len(self.world.registry), 2)
        self.assertEqual({guest.transport.producerState for guest in self.guests}, {"producing"})

    def test_useless_messages_count_by_their_time(self) -> None:
        """One that takes a millisecond is as many as the smallest take."""
        counted: list[float] = []
        conduct = self.world.registrar.penalties
        self.patch(conduct.__class__, "count_useless", lambda *a: counted.append(a[3]) or 0.0)
        self.guests[0].protocol.dataReceived(encode([b"pong", b"x"]))
        self.assertEqual(counted, [200.0])
        self.share.timer = lambda: 0.0
        self.guests[0].protocol.dataReceived(encode([b"pong", b"x"]))
        self.assertEqual(counted, [200.0, 1.0])

    def test_it_is_forgotten_with_the_last_connection(self) -> None:
        for guest in self.guests:
            self.assertIn("vm:10", self.world.factory._shares)
            guest.lose()
        self.assertEqual(self.world.factory._shares, {})
