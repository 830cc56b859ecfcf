"""Registrations, by the policy."""

from unittest.mock import patch

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.policy import Policy, Quotas, parse_policy
from subproxy.core.routing import pattern
from subproxy.core.routing.route import Route
from subproxy.core.routing.route_table import HOST_COST
from subproxy.subscription.registrar import TLS_NAMES
from subproxy.wire import messages as m
from tests.rigs.world import World

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

    def test_tls_information(self) -> None:
        """It is granted where clients come over TLS, of what there is; and goes with the route."""
        for offered, granted in (((), []), (TLS_NAMES, [b"sni", b"cert"])):
            self.registrar.tells_tls = offered
            guest = self.world.guest(str(len(offered)))
            guest.hello()
            guest.say(m.Register(1, b"a", b"/.*", {b"tls": [b"cert", b"later", b"sni"]}))
            guest.say(m.Register(2, b"b", b"/.*"))
            (first, second) = guest.take(m.Registered)
            self.assertEqual(first.info.get(b"tls", []), granted)
            self.assertEqual(second.info, {})
        pool = self.world.router.lookup(b"a", b"/")
        assert pool is not None
        self.assertTrue(pool.tells_tls)
        member = pool.members[-1]
        self.assertEqual(member.tls, {pool: frozenset([b"sni", b"cert"])})
        guest.say(m.Unregister(1))
        self.assertEqual(member.tls, {})

    def test_the_policy_is_asked_first(self) -> None:
        """RE2 is asked about nothing that a guest may not have anyway."""
        self.registrar.policy = parse_policy(POLICY)
        for vm, sources, reason in (
            ("3", [b"(a|b)\\.example", b"[", b"one\\.example"], b"no claims"),
            ("1", [b"(a|b)\\.example"], b"host pattern must be literal"),
            ("1", [b".*\\.(a|b)"], b"host pattern must be literal"),
        ):
            guest = self.world.guest(vm)
            guest.hello(instance=b"%d" % len(sources))
            with patch.object(pattern, "_compile", side_effect=AssertionError):
                for reference, source in enumerate(sources, 1):
                    guest.register(source, b"/(a|b)", reference=reference)
            refused = guest.take(m.Refused)
            self.assertEqual([each.code for each in refused], [b"policy"] * len(sources))
            for each in refused:
                self.assertIn(reason, each.reason)

    def test_quotas_are_asked_before_anything_is_compiled(self) -> None:
        self.registrar.policy = Policy(None, Quotas(routes=1))
        guest = self.world.guest("1")
        guest.hello()
        with patch.object(pattern, "_compile", wraps=pattern._compile) as asked:
            guest.register(b"h", b"/(a|b)", reference=1)
            guest.register(b"h", b"/(c|d)", reference=2)
        self.assertEqual(asked.call_count, 1)
        self.assertEqual([each.code for each in guest.take(m.Refused)], [b"quota"])

    def test_a_policy_is_asked_again_if_a_beginning_was_misread(self) -> None:
        """What RE2 says of a pattern counts, not what was read before."""
        self.registrar.policy = parse_policy(POLICY)
        guest = self.world.guest("1")
        guest.hello()
        with (
            patch.object(Route, "compile", return_value=True),
            patch.object(Policy, "allows", side_effect=[None, "no"]),
        ):
            guest.register(b"one\\.example", b"/(a|b)", reference=1)
        self.assertEqual([each.reason for each in guest.take(m.Refused)], [b"no"])

    def test_a_request_must_not_become_costly(self) -> None:
        """However many guests register what one URL has to be matched with."""
        codes = set()
        for vm in range(1, 4):
            guest = self.world.guest(str(vm))
            guest.hello()
            for reference in range(1, 41):
                guest.register(b"h", b"/(a|b)%d_%d" % (vm, reference), reference=reference)
            codes = {each.code for each in guest.take(m.Refused)}
        self.assertEqual(codes, {b"quota"})
        cost = self.registrar.registry.table._literal[b"h"].cost
        self.assertLessEqual(cost, HOST_COST)
        guest.register(b"h", b"/literal", reference=100)
        self.assertEqual(guest.take(m.Registered)[-1:], [m.Registered(100)])

    def test_a_pattern_is_logged_as_it_was_written(self) -> None:
        with capturedLogs() as events:
            self.world.serving("1", b"one\\.example")
        says = [formatEvent(event) for event in events]
        self.assertEqual(
            [each for each in says if "serves" in each], [r"vm:1 serves one\.example /.*"]
        )

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
        self.world.factory.policy_changed()
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
            while guest.protocol.message_pump.behind:
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
