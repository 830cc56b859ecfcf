"""All subscriptions of a proxy."""

from dataclasses import replace

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.policy import Policy, Quotas
from subproxy.wire import messages as m
from tests.rigs.world import World


class FactoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guest = self.world.serving("10")

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

    def test_other_times(self) -> None:
        """Who subscribes from now on is told them and held to them; others keep their own."""
        settings = replace(
            self.world.factory.context.settings, ping_interval=1.0, timeout=4.0, bulk=None
        )
        self.world.factory.set_settings(settings)
        other = self.world.guest("11")
        other.hello(bulk=True)
        [welcome] = other.take(m.Welcome)
        self.assertEqual((welcome.info[b"ping"], welcome.info[b"timeout"]), (1000, 4000))
        self.assertNotIn(b"bulk", welcome.info)
        other.answer_pings = self.guest.answer_pings = False
        for _ in range(10):
            self.world.advance(1)
            for each in (other, self.guest):
                each.pump()
        self.assertTrue(other.transport.disconnecting)
        self.assertFalse(self.guest.transport.disconnecting)

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
