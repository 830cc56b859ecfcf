"""Tests of subproxy.core.routing.router."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.member import Pool
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.route import Route
from subproxy.core.routing.router import CACHED_BYTES, Router
from tests.rigs.core_strategies import hosts, make_member, paths, relaxed, routes


class RouterTests(SynchronousTestCase):
    """C{Router.lookup}."""

    def setUp(self) -> None:
        self.registry = Registry()
        self.router = Router(self.registry, cache_size=2)
        self.member = make_member()
        self.blog = self.register(rb"blog\.example")
        self.finds = 0

    def register(self, host: bytes, path: bytes = b"/.*") -> Pool:
        return self.registry.register(self.member, Route(host, path), 0.0)

    def counting(self) -> None:
        real = self.registry.table

        class Table:
            def find(_, host: bytes, path: bytes) -> Pool | None:
                self.finds += 1
                return real.find(host, path)

        self.registry.table = Table()  # type: ignore[assignment]

    def test_found_and_not_found(self) -> None:
        self.assertIs(self.router.lookup(b"blog.example", b"/"), self.blog)
        self.assertIsNone(self.router.lookup(b"shop.example", b"/"))

    def test_hosts_and_paths_are_normalised(self) -> None:
        api = self.register(rb"blog\.example", b"/api/.*")
        for host in (b"blog.example", b"BLOG.example:80", b"blog.example."):
            for path in (b"/api/x", b"/%61pi/x", b"//api/x", b"/a/../api/x", b"/api/%2e/x"):
                self.assertIs(self.router.lookup(host, path), api, (host, path))

    def test_a_faulty_path_has_no_route(self) -> None:
        self.register(rb".*", rb".*")
        for path in (b"/%00", b"*", b"/%", b"/\x00"):
            self.assertIsNone(self.router.lookup(b"blog.example", path))

    def test_a_hit_does_not_ask_the_table(self) -> None:
        self.counting()
        for _ in range(3):
            self.assertIs(self.router.lookup(b"blog.example", b"/"), self.blog)
            self.assertIsNone(self.router.lookup(b"shop.example", b"/"))
        self.assertEqual(self.finds, 2)

    def test_a_changed_table_drops_the_cache(self) -> None:
        self.assertIsNone(self.router.lookup(b"shop.example", b"/"))
        shop = self.register(rb"shop\.example")
        self.assertIs(self.router.lookup(b"shop.example", b"/"), shop)
        self.registry.remove(self.member, 0.0)
        self.registry.expire(100.0)
        self.assertIsNone(self.router.lookup(b"shop.example", b"/"))

    def test_a_changed_table_drops_what_was_asked_for_long_ago(self) -> None:
        """The older half of the cache too."""
        self.assertIsNone(self.router.lookup(b"shop.example", b"/"))
        for path in (b"/1", b"/2"):
            self.router.lookup(b"blog.example", path)
        shop = self.register(rb"shop\.example")
        self.assertIs(self.router.lookup(b"shop.example", b"/"), shop)

    def test_a_joining_member_does_not(self) -> None:
        self.router.lookup(b"blog.example", b"/")
        self.counting()
        self.registry.register(make_member("vm2"), Route(rb"blog\.example"), 0.0)
        self.assertIs(self.router.lookup(b"blog.example", b"/"), self.blog)
        self.assertEqual(self.finds, 0)

    def test_the_cache_is_bounded(self) -> None:
        for number in range(100):
            self.router.lookup(b"blog.example", b"/%d" % number)
            self.assertLessEqual(len(self.router._young), 2)
            self.assertLessEqual(len(self.router._old), 2)

    def test_what_is_asked_for_survives_a_flood(self) -> None:
        self.router.lookup(b"blog.example", b"/hot")
        self.counting()
        for number in range(100):
            self.router.lookup(b"blog.example", b"/%d" % number)
            self.assertIs(self.router.lookup(b"blog.example", b"/hot"), self.blog)
        self.assertEqual(self.finds, 100)

    def test_long_names_are_not_kept(self) -> None:
        self.counting()
        fits = b"/" + b"a" * (CACHED_BYTES - len(b"blog.example") - 1)
        for path in (fits, fits + b"a"):
            self.assertIs(self.router.lookup(b"blog.example", path), self.blog)
            self.assertIs(self.router.lookup(b"blog.example", path), self.blog)
        self.assertEqual(self.finds, 3)

    def test_the_cache_needs_room(self) -> None:
        Router(self.registry, cache_size=1)
        self.assertRaises(ValueError, Router, self.registry, cache_size=0)


class TableTests(SynchronousTestCase):
    """C{RouteTable.find} through the router: the order of precedence."""

    def setUp(self) -> None:
        self.registry = Registry()
        self.member = make_member()

    def find(self, host: bytes, path: bytes, *registered: tuple[bytes, bytes]) -> bytes:
        for each in registered:
            self.registry.register(self.member, Route(*each), 0.0)
        pool = Router(self.registry).lookup(host, path)
        return b"" if pool is None else pool.route.host.source + b" " + pool.route.path.source

    def test_literal_host_beats_pattern(self) -> None:
        found = self.find(b"a", b"/x/y", (b".*", b"/x/y"), (b"a", b"/.*"))
        self.assertEqual(found, b"a /.*")

    def test_a_pattern_answers_where_the_literal_host_has_no_such_path(self) -> None:
        found = self.find(b"a", b"/x", (b".*", b"/x"), (b"a", b"/y"))
        self.assertEqual(found, b".* /x")

    def test_between_host_patterns_the_path_decides_then_their_length_and_bytes(self) -> None:
        registered = [(b"[a]", b"/.*"), (b"a?", b"/x.*"), (b".*", b"/x.*")]
        self.assertEqual(self.find(b"a", b"/x", *registered), b".* /x.*")
        self.assertEqual(self.find(b"a", b"/x", (b"a[b]?", b"/x.*")), b"a[b]? /x.*")
        self.assertEqual(self.find(b"a", b"/y"), b"[a] /.*")
        self.assertEqual(self.find(b"b", b"/y"), b"")

    def test_literal_path_beats_all(self) -> None:
        found = self.find(b"a", b"/x", (b"a", b"/x.*"), (b"a", b"/x[y]?"), (b"a", b"/x"))
        self.assertEqual(found, b"a /x")

    def test_prefix_and_pattern_of_equal_beginning_by_length(self) -> None:
        """Whoever came first."""
        found = self.find(b"a", b"/xy", (b"a", b"/x[y]"), (b"a", b"/x.*"))
        self.assertEqual(found, b"a /x[y]")
        found = self.find(b"b", b"/xy", (b"b", b"/x.*"), (b"b", b"/x[y]"))
        self.assertEqual(found, b"b /x[y]")

    def test_longest_prefix(self) -> None:
        registered = [(b"a", b"/.*"), (b"a", b"/x/.*"), (b"a", b"/x/y/.*")]
        self.assertEqual(self.find(b"a", b"/x/y/z", *registered), b"a /x/y/.*")
        self.assertEqual(self.find(b"a", b"/x/y"), b"a /x/.*")
        self.assertEqual(self.find(b"a", b"/x"), b"a /.*")

    def test_a_pattern_that_cannot_win_is_not_tried(self) -> None:
        for pattern in (b"/.?", b"/x?", b"/.*"):
            self.find(b"a", b"/", (b"a", pattern))
        with patch("subproxy.core.routing.pattern.Pattern.matches", side_effect=AssertionError):
            self.assertEqual(self.find(b"a", b"/x1"), b"a /.*")
        with patch("subproxy.core.routing.pattern.Pattern.matches", side_effect=AssertionError):
            self.registry.register(self.member, Route(b"a", b"/y[x]"), 0.0)
            self.registry.register(self.member, Route(b"a", b"/yx.*"), 0.0)
            self.assertEqual(self.find(b"a", b"/yx"), b"a /yx.*")

    def test_many_patterns_below_one_host(self) -> None:
        many = [(b"a", b"/%d/[a-z]+" % number) for number in range(100)]
        self.assertEqual(self.find(b"a", b"/57/x", *many), b"a /57/[a-z]+")
        self.find(b"a", b"/", (b"a", b"/.*"), (b"a", b"/57/x.*"))
        self.assertEqual(self.find(b"a", b"/57/x"), b"a /57/x.*")
        self.assertEqual(self.find(b"a", b"/58/x"), b"a /58/[a-z]+")
        self.assertEqual(self.find(b"a", b"/58/0"), b"a /.*")
        for host, path in many[1:]:
            self.registry.unregister(self.member, Route(host, path), 0.0)
        self.registry.expire(1000.0)
        self.assertEqual(self.find(b"a", b"/0/x"), b"a /0/[a-z]+")
        self.assertEqual(self.find(b"a", b"/58/x"), b"a /.*")

    @given(st.lists(routes, max_size=30), st.lists(st.tuples(hosts, paths), max_size=8))
    @relaxed
    def test_it_agrees_with_trying_every_route(
        self, registered: list[Route], asked: list[tuple[bytes, bytes]]
    ) -> None:
        registry = Registry()
        for each in registered:
            registry.register(make_member(), each, 0.0)
        router = Router(registry)
        for host, path in asked:
            self.assertIs(router.lookup(host, path), router.explain(host, path).winner)
