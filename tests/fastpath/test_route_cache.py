"""The compiled choice of a subscriber is the balancer's."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.admission import Admission
from subproxy.core.balancing.balancer import BALANCERS
from subproxy.core.balancing.member import HOSTS, PEERS, Member, MemberState, is_host, is_peer
from subproxy.core.dispatcher import Dispatcher
from subproxy.core.http.request_rules import RequestRules
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.route import Route
from subproxy.core.routing.router import Router
from subproxy.fastpath.install import unavailable
from subproxy.frontend.limits import HttpLimits
from subproxy.wire.messages import Register
from tests.rigs.examples import examples
from tests.rigs.fastpath_rig import Side, response

NOW = 1000.0

members = st.builds(
    dict,
    state=st.sampled_from([MemberState.READY] * 8 + list(MemberState)),
    in_flight=st.integers(0, 5),
    concurrency=st.sampled_from([0, 0, 0, 3, 2**50]),
    latency=st.floats(0.001, 30.0),
    weight=st.floats(0.01, 10.0),
    since=st.sampled_from([0.0, NOW, NOW - 1, NOW - 9.5, NOW - 30]),
)


skip = unavailable()


class ChoiceTests(SynchronousTestCase):
    @settings(max_examples=examples(400), deadline=None)
    @given(st.lists(members, max_size=6), st.integers(0, 2**32), st.sampled_from(list(BALANCERS)))
    def test_the_same_choice(self, each: list[dict[str, float]], seed: int, name: str) -> None:
        from subproxy.fastpath._route_cache import RouteCache

        registry = Registry()
        admission = Admission(BALANCERS[name](), Random(seed))
        dispatcher = Dispatcher(Router(registry), admission, lambda: NOW)
        chooser = RouteCache(dispatcher, RequestRules(), None)
        route = Route(b"a", b"/.*")
        first = Member("x", b"a", b"i", now=0.0)
        pool = registry.register(first, route, 0.0)
        registry.unregister(first, route, 0.0)
        for number, numbers in enumerate(each):
            member = Member(f"vm{number}", b"a", b"i", now=0.0)
            registry.register(member, route, 0.0)
            for key, value in numbers.items():
                setattr(member, key, value)
        for _ in range(20):
            state = admission.rng.getstate()
            cursor = pool.cursor
            expected = admission.balancer.choose(pool, NOW, admission.rng)
            admission.rng.setstate(state)
            pool.cursor = cursor
            self.assertIs(chooser.pick(pool), expected)
            if expected is not None:
                expected.in_flight += 1
        # As for another process: who is one itself is left out.
        for number in range(0, len(pool.members), 2):
            pool.members[number].identity = f"{PEERS if number % 4 else HOSTS}{number}"
        for number in range(10):
            state = admission.rng.getstate()
            cursor = pool.cursor
            # What has come from another host may go on to another worker.
            onward = bool(number % 2)
            left_out = is_host if onward else is_peer
            others = [member for member in pool.members if left_out(member)]
            expected = admission.balancer.choose(pool, NOW, admission.rng, others)
            admission.rng.setstate(state)
            pool.cursor = cursor
            self.assertIs(chooser.pick_here(pool, onward), expected)
            if expected is not None:
                expected.in_flight += 1
        pool.waiting = 1
        self.assertIsNone(chooser.pick(pool))
        self.assertIsNone(chooser.pick_here(pool))

    @settings(max_examples=examples(200), deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([200, 404, 500, 501, 503]))))
    def test_the_same_verdict(self, answers: list[tuple[int, int]]) -> None:
        """Of each answer, on the same numbers: what is watched, and who is out."""
        from subproxy.fastpath._route_cache import RouteCache

        def told(compiled: bool) -> list[object]:
            registry = Registry()
            admission = Admission(BALANCERS["p2c-ewma"](), Random(1))
            dispatcher = Dispatcher(Router(registry), admission, lambda: NOW)
            chooser = RouteCache(dispatcher, RequestRules(), None)
            route = Route(b"a", b"/.*")
            members = [Member(f"vm{number}", b"a", b"i", now=0.0) for number in range(3)]
            for member in members:
                registry.register(member, route, 0.0)
            for at, status in answers:
                if compiled:
                    chooser.tell(members[at], status)
                else:
                    dispatcher.failing.answered(members[at], status)
            return [
                (
                    each.state,
                    each.weight,
                    each.outcomes and (each.outcomes.row, each.outcomes.share),
                )
                for each in members
            ] + [each.outcomes and each.outcomes.answers for each in members]

        self.assertEqual(told(True), told(False))


class FoundAgainTests(SynchronousTestCase):
    """Requests go where the router says, however many hosts and paths there are."""

    def side(self) -> Side:
        side = Side(True, limits=HttpLimits(requests=10**6))
        self.addCleanup(side.log.close)
        self.number = 0
        return side

    def ask(self, side: Side, path: bytes) -> None:
        """A request for it is sent on as one for it, and answered."""
        self.number += 1
        side.protocol.dataReceived(b"GET %b HTTP/1.1\r\nHost: a.example\r\n\r\n" % path)
        sent = side.guest_transport.value()
        self.assertIn(b"%d:%b," % (len(path), path), sent)
        side.guest_transport.clear()
        side.guest.dataReceived(response(self.number))
        self.assertTrue(side.transport.value().startswith(b"HTTP/1.1 200 "))
        side.transport.clear()

    def test_more_and_more(self) -> None:
        """Also after all was forgotten, since a route came."""
        side = self.side()
        for turn in range(4):
            for each in range(700):
                self.ask(side, b"/%d" % each)
            if turn == 1:
                side.wire.send(Register(9, b"c\\.example", b"/.*"))
                side.guest.dataReceived(side.wire.data_to_send())
                side.guest_transport.clear()
        self.assertEqual(side.fastpath.stats()["declined_requests"], 0)

    def test_more_than_are_kept(self) -> None:
        side = self.side()
        for each in (*range(17_000), *range(16_000, 16_500), *range(500)):
            self.ask(side, b"/%d" % each)
        self.assertEqual(side.fastpath.stats()["declined_requests"], 0)
