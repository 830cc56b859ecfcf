"""When what comes from a guest is dealt with."""

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.conduct import BURST, RATE
from subproxy.subscription.settings import Settings
from subproxy.subscription.states import State
from subproxy.wire.frames import encode

from .world import World


class FloodTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guest = self.world.guest("10")
        self.guest.hello()

    def test_a_flood_of_what_is_ignored(self) -> None:
        """Frames of no interest take turns like all others, and do no harm."""
        self.guest.protocol.dataReceived(b"8:5:later,]" * 3_500)
        self.assertEqual(self.guest.transport.producerState, "paused")
        for _ in range(3_500 // Settings().events_a_turn):
            self.world.clock.advance(0)
        self.assertEqual(self.guest.transport.producerState, "producing")
        self.assertIs(self.guest.protocol.state, State.SUBSCRIBED)

    def test_a_flood_waits(self) -> None:
        """Of what nobody needs no more is read than a little; then it goes on where it was."""
        flood = b"8:5:later,]" * int(2 * BURST)
        self.guest.protocol.dataReceived(flood)
        for _ in range(1000):
            self.world.clock.advance(0)
        self.assertEqual(self.guest.transport.producerState, "paused")
        unread = self.guest.protocol.wire.unparsed
        self.assertLess(abs(unread - len(flood) / 2), 1000)
        self.assertTrue(self.guest.protocol.inbox.behind)
        for _ in range(1000):
            self.world.clock.advance(BURST / RATE / 900)
        self.assertEqual(self.guest.protocol.wire.unparsed, 0)
        self.assertFalse(self.guest.protocol.inbox.behind)
        self.assertEqual(self.guest.transport.producerState, "producing")
        self.assertIs(self.guest.protocol.state, State.SUBSCRIBED)

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
