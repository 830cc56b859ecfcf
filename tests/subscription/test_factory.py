"""All subscriptions of a proxy."""

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
