"""Registrations, by the policy."""

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.policy import Policy, Quotas, parse_policy
from subproxy.wire import messages as m

from .world import World

POLICY = """
[[guest]]
identity = "vm:1"
hosts = ["one.example"]
exchanges = 5
[[guest]]
identity = "vm:2"
hosts = ["two.example"]
"""


class RegistrarTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.registrar = self.world.registrar

    def test_policy(self) -> None:
        """A guest serves what it may claim, and is told why it may not serve the rest."""
        self.registrar.policy = parse_policy(POLICY)
        guest = self.world.guest("1")
        guest.hello()
        guest.register(b"one\\.example", reference=1)
        guest.register(b"two\\.example", reference=2)
        self.assertEqual(guest.take(m.Registered), [m.Registered(1)])
        (refused,) = guest.take(m.Refused)
        self.assertEqual((refused.reference, refused.code), (2, b"policy"))
        self.assertTrue(refused.reason)
        self.assertIsNone(self.world.router.lookup(b"two.example", b"/"))

    def test_exchanges_of_the_policy(self) -> None:
        """The policy's number of exchanges bounds what a guest grants."""
        self.registrar.policy = parse_policy(POLICY)
        for granted, used in ((0, 5), (3, 3), (9, 5)):
            guest = self.world.guest("1")
            guest.hello(instance=b"i%d" % granted, concurrency=granted)
            member = guest.protocol.subscription.member
            assert member is not None
            self.assertEqual(member.concurrency, used)

    def test_a_policy_that_changes(self) -> None:
        """What is not allowed any more is taken away, and the guest told."""
        guest = self.world.serving("1", b"one\\.example")
        guest.register(b"other", reference=2)
        guest.events.clear()
        self.registrar.policy = parse_policy(POLICY)
        self.world.factory.policyChanged()
        guest.pump()
        self.assertEqual([refused.reference for refused in guest.take(m.Refused)], [2])
        pool = self.world.router.lookup(b"other", b"/")
        assert pool is not None
        self.assertEqual(pool.members, [])
        pool = self.world.router.lookup(b"one.example", b"/")
        assert pool is not None
        self.assertEqual(len(pool.members), 1)

    def test_registrations_a_second(self) -> None:
        """A flood of registrations is refused; after a while more are taken."""
        self.registrar.policy = Policy(None, Quotas(registrations=1))
        for worker in range(4):
            guest = self.world.guest("1")
            guest.hello(worker=worker)
            for reference in range(1, 257):
                guest.wire.send(m.Register(reference, b"h", b"/%d/x%d" % (worker, reference)))
            guest.pump()
            while guest.protocol.inbox.behind:
                self.world.clock.advance(0)
            guest.pump()
        self.assertEqual({refused.code for refused in guest.take(m.Refused)}, {b"too-fast"})
        guest.wire.send(m.Unregister(1))
        self.world.clock.advance(1)
        guest.register(b"h", b"/3/x1", reference=3000)
        self.assertEqual(guest.take(m.Registered)[-1].reference, 3000)
        self.registrar.expire(self.world.clock.seconds() + 2000)
        self.assertEqual(self.registrar._buckets, {})

    def test_quota_of_routes(self) -> None:
        """All subscriptions of one VM share its number of routes."""
        self.registrar.policy = Policy(None, Quotas(routes=2))
        first = self.world.serving("1", b"a")
        second = self.world.guest("1")
        second.hello(worker=1)
        second.register(b"b", reference=1)
        second.register(b"c", reference=2)
        (refused,) = second.take(m.Refused)
        self.assertEqual(refused.code, b"quota")
        first.lose()
        second.register(b"c", reference=3)
        self.assertEqual(second.take(m.Registered)[-1], m.Registered(3))

    def test_the_same_route_twice(self) -> None:
        """Two references of one route: it is served until both are given back."""
        guest = self.world.serving("1", b"a")
        guest.register(b"a", reference=2)
        guest.say(m.Unregister(1))
        pool = self.world.router.lookup(b"a", b"/")
        assert pool is not None
        self.assertEqual(len(pool.members), 1)
        guest.say(m.Unregister(2))
        self.assertEqual(len(pool.members), 0)

    def test_unregister_of_nothing(self) -> None:
        """It is ignored."""
        guest = self.world.serving("1", b"a")
        guest.say(m.Unregister(99))
        self.assertEqual(guest.take(m.Unregistered), [])

    def test_a_bad_pong(self) -> None:
        """Nonsense in a pong changes nothing."""
        guest = self.world.serving("1", b"a", concurrency=4)
        member = guest.protocol.subscription.member
        assert member is not None
        self.registrar.pong(member, {b"concurrency": b"many"})
        self.assertEqual(member.concurrency, 4)

    def test_replaced_instance_never_returns(self) -> None:
        """The older instance is refused for good."""
        self.world.serving("1", instance=b"old")
        self.world.serving("1", instance=b"new")
        late = self.world.guest("1")
        late.hello(instance=b"old")
        self.assertEqual(late.take(m.Refused)[0].code, b"replaced")
        self.assertEqual(late.take(m.Bye)[0].code, b"refused")
