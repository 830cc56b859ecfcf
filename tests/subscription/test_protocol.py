"""The connections of guests: their first message, what they do wrong, and their end."""

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.penalties import AGAIN
from subproxy.core.access.policy import Policy, Quotas
from subproxy.endpoints.addresses import VsockAddress
from subproxy.endpoints.identity import identity_of_peer
from subproxy.subscription.factory import SubscriptionFactory
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.subscription.states import SubscriptionState
from subproxy.wire import messages as m
from tests.rigs.world import World


class GreetingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guest = self.world.guest("10")

    def test_hello_must_come_in_time(self) -> None:
        """A connection that says nothing is closed."""
        self.world.clock.advance(SubscriptionSettings().greeting_timeout)
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Bye)[0].code, b"timeout")
        self.world.clock.advance(SubscriptionSettings().closing_timeout)
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
            recognise=identity_of_peer,
        )
        protocol = factory.buildProtocol(VsockAddress(7, 1024))
        assert protocol is not None
        self.assertEqual(protocol.identity, "cid:7")
        protocol.makeConnection(StringTransport())
        self.assertIsNone(factory.buildProtocol(VsockAddress(7, 1025)))
        self.assertIsNotNone(factory.buildProtocol(VsockAddress(8, 1024)))
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertIsNotNone(factory.buildProtocol(VsockAddress(7, 1026)))

    def test_data_connection(self) -> None:
        """A connect that nobody asked for is closed."""
        self.guest.say(m.Connect(1, b"token"))
        self.assertIs(self.guest.protocol.state, SubscriptionState.DATA)
        self.assertTrue(self.guest.transport.disconnected)
        self.assertEqual(self.world.factory.context.tokens.counts["unknown"], 1)


class OffenceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guest = self.world.guest("10")

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
        self.assertIs(self.guest.protocol.state, SubscriptionState.SUBSCRIBED)

    def test_who_offends_meanwhile_waits_longer(self) -> None:
        """Connections that wait together don't come together."""
        self.offend(4)
        first, second = self.world.guest("10"), self.world.guest("10")
        first.protocol.dataReceived(b"nonsense")
        second.hello()
        self.world.clock.advance(0.1)
        self.assertIs(first.protocol.state, SubscriptionState.CLOSING)
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
        self.world.clock.advance(SubscriptionSettings().closing_timeout)
        self.assertTrue(closed.transport.disconnected)

    def test_a_greeting_that_does_not_come_is_an_offence(self) -> None:
        """It is none if the guest just hangs up."""
        conduct = self.world.registrar.penalties
        for _ in range(5):
            self.world.guest("10").lose()
        self.assertEqual(conduct.penalty("vm:10", 0.0), 0.0)
        late = [self.world.guest("10") for _ in range(5)]
        self.world.clock.advance(SubscriptionSettings().greeting_timeout)
        self.assertGreater(conduct.penalty("vm:10", self.world.clock.seconds()), 0.0)
        self.assertIs(late[0].protocol.state, SubscriptionState.CLOSING)


class EndTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guest = self.world.serving("10")

    def test_after_bye(self) -> None:
        """What still comes is read to its end, so that no VMM hangs; but not without one."""
        protocol, transport = self.guest.protocol, self.guest.transport
        protocol.close(b"done", "")
        for _ in range(16):
            protocol.dataReceived(b"x" * 65536)
        self.assertFalse(transport.disconnecting)
        protocol.dataReceived(b"x")
        self.assertTrue(transport.disconnecting)

    def test_a_guest_that_reads_nothing_is_cut_off(self) -> None:
        """Beyond the backlog that it may leave unread."""
        world = World()
        world.registrar.policy = Policy(None, Quotas(buffer=100_000))
        guest = world.serving("10")
        guest.protocol.pauseProducing()
        for _ in range(12):
            world.ask(b"PUT", body=b"b" * 10_000)
        self.assertTrue(guest.transport.disconnected)

    def test_a_machine_that_reads_nothing_on_several_connections(self) -> None:
        """They are counted together, and given back with each."""
        world = World()
        world.registrar.policy = Policy(None, Quotas(buffer=100_000))
        guests = [
            world.serving("10", b"%d" % number, application=b"%d" % number) for number in range(4)
        ]
        for guest in guests:
            guest.protocol.pauseProducing()
        for number in [*range(4)] * 3:
            world.ask(b"PUT", host=b"%d" % number, body=b"b" * 10_000)
        cut = [guest for guest in guests if guest.transport.disconnected]
        self.assertEqual(cut, [guests[1], guests[2], guests[3]])
        held = guests[0].protocol._held
        for guest in guests:
            guest.lose()
        self.assertEqual(held.total, 0)

    def test_frames_that_are_never_complete(self) -> None:
        """Over all connections of a machine they are held as far as its quota goes."""
        world = World()
        world.registrar.policy = Policy(None, Quotas(buffer=250_000))
        guests = [world.guest("10") for _ in range(4)]
        other = world.guest("11")
        for guest in guests[1:]:
            guest.hello(b"app%x" % id(guest))
        for guest in (*guests[:3], other):
            guest.protocol.dataReceived(b"200000:" + b"x" * 99_993)
        self.assertEqual(
            [guest.transport.disconnected for guest in (*guests, other)],
            [False, False, True, False, False],
        )
        guests[2].lose()
        held = guests[0].protocol._held
        self.assertEqual(held.total, 200_000)
        for guest in (guests[0], guests[1], guests[3]):
            guest.lose()
        self.assertEqual(held.total, 0)

    def test_a_guest_that_reads_may_get_any_amount(self) -> None:
        """What a transport that never paused us has taken is not a backlog."""
        world = World()
        world.registrar.policy = Policy(None, Quotas(buffer=100_000))
        guest = world.serving("10")
        for _ in range(12):
            world.ask(b"PUT", body=b"b" * 10_000)
        self.assertFalse(guest.transport.disconnected)
