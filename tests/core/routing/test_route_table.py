"""
Tests of subproxy.core.routing.route_table: adding and removing; finding is in test_core_router.
"""

from __future__ import annotations

from collections.abc import Iterable
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.member import Pool
from subproxy.core.routing.prefix_tree import NODE
from subproxy.core.routing.route import Route
from subproxy.core.routing.route_table import (
    HOST_COST,
    PATTERN_COST,
    REMEMBERED,
    REMEMBERED_PATTERNS,
    RouteTable,
)
from tests.rigs.core_strategies import hosts, paths, relaxed, routes
from tests.rigs.examples import examples

#: Many distinct patterns below one host.
crowds = st.integers(0, 32).map(lambda number: Route(rb"a\.example", b"/[ab]*%d?" % number))


class TableTests(SynchronousTestCase):
    """C{RouteTable}."""

    def test_what_was_removed_leaves_nothing(self) -> None:
        table = RouteTable()
        pools = [
            Pool(Route(host, path), now=0.0)
            for host, path in (
                *((b"a", b"/x"), (b"a", b"/x.*"), (b"a", b"/y.*"), (b"a", b"/[x]")),
                (b".*", b"/x"),
            )
        ]
        for pool in pools:
            table.add(pool)
        for pool in pools:
            self.assertIsNotNone(table.find(b"a", b"/x"))
            table.discard(pool)
        self.assertIsNone(table.find(b"a", b"/x"))
        self.assertEqual((table._hosts, table._literal, bool(table._patterns)), ({}, {}, False))
        self.assertEqual(table._matched, {})
        self.assertEqual(table._patterns.worst, NODE)

    def test_matching_hosts_are_remembered_while_the_table_is_the_same(self) -> None:
        table = RouteTable()
        first = Pool(Route(b"a.*", b"/x"), now=0.0)
        second = Pool(Route(b"[a]b", b"/y"), now=0.0)
        table.add(first)
        for _ in range(2):
            self.assertIs(table.find(b"ab", b"/x"), first)
            self.assertIsNone(table.find(b"ab", b"/y"))
        table.add(second)
        self.assertIs(table.find(b"ab", b"/y"), second)
        with patch.object(RouteTable, "_match", side_effect=AssertionError):
            self.assertIs(table.find(b"ab", b"/x"), first)
        table.discard(first)
        self.assertIsNone(table.find(b"ab", b"/x"))
        for number in range(3 * REMEMBERED):
            table.find(b"%d" % number, b"/")
            self.assertLessEqual(len(table._matched), REMEMBERED)

    def test_what_is_remembered_is_bounded_where_all_patterns_match(self) -> None:
        """A host that matches more host patterns than that is asked anew each time."""
        table = RouteTable()
        pools = [
            Pool(Route(b"[ab]{1,%d}" % (2 + number), b"/%d" % number), now=0.0)
            for number in range(REMEMBERED_PATTERNS + 1)
        ]
        for pool in pools[:-1]:
            table.add(pool)
        self.assertIs(table.find(b"ab", b"/0"), pools[0])
        self.assertEqual(list(map(len, table._matched.values())), [REMEMBERED_PATTERNS])
        table.add(pools[-1])
        self.assertIs(table.find(b"ba", b"/0"), pools[0])
        self.assertEqual(table._matched, {})

    @given(
        st.lists(routes | crowds, max_size=60, unique=True),
        st.data(),
        hosts,
        paths | st.sampled_from([b"/ab7", b"/12", b"/a"]),
    )
    @settings(relaxed, max_examples=examples(150))
    def test_any_history_finds_the_smallest_precedence(
        self, registered: list[Route], data: st.DataObject, host: bytes, path: bytes
    ) -> None:
        table = RouteTable()
        pools = [Pool(route, now=0.0) for route in registered]
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
        # No request can cost what was not counted.
        for pool in set(pools) - removed:
            table.discard(pool)
        self.assertEqual(table._patterns.worst, NODE)


class CostTests(SynchronousTestCase):
    """C{RouteTable.excess}: no request can be made costly, however many register."""

    def fill(self, sources: Iterable[tuple[bytes, bytes]]) -> tuple[RouteTable, int, str | None]:
        """Add routes until there is an excess; the table, how many fit, and the reason."""
        table = RouteTable()
        order = -1
        for order, (host, path) in enumerate(sources):
            pool = Pool(Route(host, path, lazy=True), now=0.0)
            table.add(pool)
            reason = table.excess(pool)
            if reason is not None:
                table.discard(pool)
                self.assertIsNone(table.excess(pool) if pool.route.host in table._hosts else None)
                return table, order, reason
        return table, order + 1, None

    def test_patterns_below_one_host(self) -> None:
        """Those that one URL can meet count together; others do not."""
        alike = ((b"h", b"/.*a%d" % number) for number in range(100_000))
        _, count, reason = self.fill(alike)
        self.assertTrue(500 < count < 5000, count)
        self.assertIn("could take 2.50 ms, and may take 2.5;", reason or "")
        wild = ((b"h", b"/(a|b)%d" % number) for number in range(100_000))
        self.assertTrue(5 < self.fill(wild)[1] < count)
        apart = ((b"h", b"/%d/(a|b)" % number) for number in range(2000))
        self.assertEqual(self.fill(apart)[1:], (2000, None))

    def test_host_patterns(self) -> None:
        """Of many guests too: wildcards of many domains never meet in one host."""
        alike = ((b".*a%d.*" % number, b"/.*") for number in range(100_000))
        table, count, reason = self.fill(alike)
        self.assertTrue(20 < count < 5000, count)
        self.assertIn("host patterns", reason or "")
        self.assertLessEqual(table._patterns.worst, PATTERN_COST)
        apart = ((rb".*\.vm%d\.example" % number, b"/.*") for number in range(5000))
        self.assertEqual(self.fill(apart)[1:], (5000, None))

    def test_paths_below_host_patterns(self) -> None:
        """Of all host patterns that can match one host."""
        sources = [(b".*", b"/a(b|c)*"), (b"[a-z]*", b"/a(b|c)*"), (b"[a-z]+", b"/a(b|c)*")] * 1
        one = self.fill(sources[:1])[0]._patterns.worst
        three = self.fill(sources)[0]._patterns.worst
        self.assertGreater(three, 2 * one)

    def test_literals_cost_nearly_nothing(self) -> None:
        sources = [(b"h", b"/%d" % number) for number in range(2000)]
        sources += [(b"h", b"/%d/.*" % number) for number in range(2000)]
        table, count, _ = self.fill(sources)
        self.assertEqual(count, 4000)
        paths = table._literal[b"h"]
        self.assertLess(paths.cost, HOST_COST // 100)

    def test_beginnings_within_each_other(self) -> None:
        """Each takes a look-up, so that these are counted as well."""
        sources = ((b"h", b"/" + b"a" * number + b".*") for number in range(1000))
        table, count, _ = self.fill(sources)
        self.assertEqual(count, 1000)
        self.assertGreater(table._literal[b"h"].cost, 1000 * NODE)

    def test_hosts_that_match_many_patterns_are_not_remembered(self) -> None:
        """Memory is bounded as well as time."""
        table, count, _ = self.fill((b".*a[%c-~]*" % number, b"/") for number in range(40, 60))
        self.assertEqual(count, 20)
        table.find(b"a", b"/")
        self.assertGreater(len(table._match(b"a")), REMEMBERED_PATTERNS)
        self.assertEqual(table._matched, {})
