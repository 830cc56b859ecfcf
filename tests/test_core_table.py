"""Tests of subproxy.core.table: adding and removing; finding is in test_core_router."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.pool import Pool
from subproxy.core.route import Route
from subproxy.core.table import MANY, REMEMBERED, RouteTable
from tests.core_strategies import hosts, paths, relaxed, routes

#: Enough distinct patterns below one host to cross MANY both ways.
crowds = st.integers(0, MANY * 2).map(lambda number: Route(rb"a\.example", b"/[ab]*%d?" % number))


class TableTests(SynchronousTestCase):
    """`RouteTable`."""

    def test_what_was_removed_leaves_nothing(self) -> None:
        table = RouteTable()
        pools = [
            Pool(Route(host, path), order, now=0.0)
            for order, (host, path) in enumerate(
                [(b"a", b"/x"), (b"a", b"/x.*"), (b"a", b"/y.*"), (b"a", b"/[x]"), (b".*", b"/x")]
            )
        ]
        for pool in pools:
            table.add(pool)
        for pool in pools:
            self.assertIsNotNone(table.find(b"a", b"/x"))
            table.discard(pool)
        self.assertIsNone(table.find(b"a", b"/x"))
        self.assertEqual((table._hosts, table._literal, len(table._patterns)), ({}, {}, 0))

    def test_matching_hosts_are_remembered_while_the_table_is_the_same(self) -> None:
        table = RouteTable()
        first = Pool(Route(b"a.*", b"/x"), 0, now=0.0)
        second = Pool(Route(b"[a]b", b"/y"), 1, now=0.0)
        table.add(first)
        for _ in range(2):
            self.assertIs(table.find(b"ab", b"/x"), first)
            self.assertIsNone(table.find(b"ab", b"/y"))
        table.add(second)
        self.assertIs(table.find(b"ab", b"/y"), second)
        with patch("subproxy.core.patternset.PatternSet.match", side_effect=AssertionError):
            self.assertIs(table.find(b"ab", b"/x"), first)
        table.discard(first)
        self.assertIsNone(table.find(b"ab", b"/x"))
        for number in range(3 * REMEMBERED):
            table.find(b"%d" % number, b"/")
            self.assertLessEqual(len(table._matched), REMEMBERED)

    def test_what_is_remembered_is_bounded_where_all_patterns_match(self) -> None:
        table = RouteTable()
        for number in range(300):
            table.add(Pool(Route(b".*a{%d}.*" % (number % 30 + 1), b"/%d" % number), 0, now=0.0))
        several = Pool(Route(b"[ab]+", b"/"), 0, now=0.0)
        table.add(several)
        with patch("subproxy.core.table.REMEMBERED_MATCHES", 100):
            for number in range(50):
                self.assertIs(table.find(b"a" * 40 + b"b" * number, b"/"), several)
                self.assertLessEqual(sum(map(len, table._matched.values())), 100)

    @given(
        st.lists(routes | crowds, max_size=60, unique=True),
        st.data(),
        hosts,
        paths | st.sampled_from([b"/ab7", b"/12", b"/a"]),
    )
    @settings(relaxed, max_examples=150)
    def test_any_history_finds_the_smallest_precedence(
        self, registered: list[Route], data: st.DataObject, host: bytes, path: bytes
    ) -> None:
        table = RouteTable()
        pools = [Pool(route, order, now=0.0) for order, route in enumerate(registered)]
        for pool in pools:
            table.add(pool)
        removed = data.draw(st.sets(st.sampled_from(pools))) if pools else set()
        if data.draw(st.booleans()):
            table.find(host, path)
        for pool in removed:
            table.discard(pool)
        matching = [p for p in pools if p not in removed and p.route.matches(host, path)]
        expected = min(matching, key=lambda pool: pool.precedence, default=None)
        self.assertIs(table.find(host, path), expected)
