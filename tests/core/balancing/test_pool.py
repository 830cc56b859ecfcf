"""Tests of subproxy.core.balancing.pool."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.member import MemberState
from subproxy.core.balancing.pool import POPULATED, Pool
from subproxy.core.routing.route import Route
from tests.rigs.core_strategies import make_member, make_pool


class PoolTests(SynchronousTestCase):
    """C{Pool}."""

    def test_a_new_pool_is_vacant(self) -> None:
        pool = Pool(Route(b"a", b"/b"), 7, now=3.0)
        self.assertEqual((pool.vacant_since, pool.waiting, pool.cursor), (3.0, 0, 0))
        self.assertEqual((pool.order, pool.precedence), (7, (0, -2, 0, 7)))
        self.assertFalse(pool.has_ready())
        self.assertFalse(hasattr(pool, "__dict__"))

    def test_has_ready(self) -> None:
        drained = make_member(state=int(MemberState.DRAINING))
        self.assertFalse(make_pool(drained).has_ready())
        full = make_member(concurrency=1, in_flight=1)
        pool = make_pool(drained, full)
        self.assertTrue(pool.has_ready())
        self.assertEqual(pool.vacant_since, POPULATED)

    def test_repr(self) -> None:
        self.assertEqual(repr(make_pool(make_member())), "<Pool .* /.* members 1 waiting 0>")
