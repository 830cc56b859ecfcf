"""Tests of subproxy.core.routing.route."""

from __future__ import annotations

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.routing.route import Route, RouteRefused, Rule, decisive
from tests.rigs.core_strategies import hosts, paths, relaxed, routes


class RouteTests(SynchronousTestCase):
    """C{Route}."""

    def test_the_path_may_be_left_out(self) -> None:
        route = Route(rb"blog\.example")
        self.assertTrue(route.matches(b"blog.example", b"/anything"))
        self.assertEqual(route, Route(rb"blog\.example", rb"/.*"))

    def test_both_must_match(self) -> None:
        route = Route(rb"blog\.example", rb"/api/.*")
        self.assertTrue(route.matches(b"blog.example", b"/api/x"))
        self.assertFalse(route.matches(b"blog.example", b"/x"))
        self.assertFalse(route.matches(b"shop.example", b"/api/x"))

    def test_equality(self) -> None:
        self.assertEqual(Route(rb"Blog\.example"), Route(rb"^blog\.Example$"))
        self.assertEqual(hash(Route(rb"Blog\.example")), hash(Route(rb"blog\.example")))
        self.assertNotEqual(Route(rb"blog\.example"), Route(rb"blog.example"))
        self.assertNotEqual(Route(rb"a", rb"/a"), Route(rb"a", rb"/A"))
        self.assertNotEqual(Route(rb"a"), Route(rb"a", passthrough=True))
        self.assertNotEqual(Route(rb"a"), "a")

    def test_either_pattern_may_be_refused(self) -> None:
        self.assertRaises(RouteRefused, Route, b"(", b"/")
        self.assertRaises(RouteRefused, Route, b"a", b"(")

    def test_a_lazy_one_may_be_refused_when_it_is_compiled(self) -> None:
        """It is told which of the two patterns it was."""
        self.assertIs(Route(b"(a)", b"/(b)", lazy=True).compile(), False)
        for host, path, words in ((rb"(\h)", b"/", "host: "), (b"a", rb"/(\h)", "path: ")):
            route = Route(host, path, lazy=True)
            self.assertIn(words, self.assertRaises(RouteRefused, route.compile).reason)

    def test_there_and_back_as_words(self) -> None:
        """What one process tells another of it."""
        for passthrough in (False, True):
            route = Route(rb"a\.example", b"/(x|y)", passthrough=passthrough)
            self.assertEqual(Route.of_words(route.words()), route)
            self.assertEqual("passthrough" in route.words(), passthrough)

    def test_whose_cost_is_shared(self) -> None:
        """Literal hosts share with none but themselves, patterns with every pattern."""
        literal, pattern = Route(b"a", b"/(x)"), Route(b"(a)", b"/(x)")
        self.assertTrue(literal.shares_cost(Route(b"a", b"/(y)")))
        self.assertFalse(literal.shares_cost(Route(b"b", b"/(x)")))
        self.assertFalse(literal.shares_cost(pattern))
        self.assertTrue(pattern.shares_cost(Route(b"(b)", b"/")))

    def test_program_is_the_cost_of_both(self) -> None:
        self.assertEqual(Route(b"a", b"/b").program, 0)
        self.assertEqual(Route(b"[ab]", b"/[ab]").program, 0)
        route = Route(b"(a|b)", b"/(a|b)")
        self.assertEqual(route.program, route.host.program + route.path.program)
        self.assertGreater(route.path.program, 0)
        self.assertGreater(route.host.program, 0)

    def test_text(self) -> None:
        self.assertEqual(str(Route(b"a", b"/b")), "a /b")
        self.assertEqual(repr(Route(b"a", b"/b")), "<Route a /b>")

    @given(routes, hosts, paths)
    @relaxed
    def test_what_matches_begins_with_the_literal(
        self, route: Route, host: bytes, path: bytes
    ) -> None:
        if route.matches(host, path):
            self.assertTrue(path.startswith(route.path.literal))
            self.assertTrue(host.startswith(route.host.literal))


class PrecedenceTests(SynchronousTestCase):
    """The total order."""

    def assert_beats(self, winner: Route, loser: Route, rule: Rule) -> None:
        first, second = winner.precedence(), loser.precedence()
        self.assertLess(first, second)
        self.assertIs(decisive(first, second), rule)

    def test_a_literal_host_beats_a_pattern(self) -> None:
        self.assert_beats(
            Route(rb"a\.example", rb".*"), Route(rb".*", rb"/a/b/c"), Rule.LITERAL_HOST
        )
        self.assert_beats(Route(rb"a"), Route(rb"[a]"), Rule.LITERAL_HOST)

    def test_a_longer_literal_path_beats_a_shorter_one(self) -> None:
        self.assert_beats(Route(b"a", b"/ab.*"), Route(b"a", b"/a.*"), Rule.LONGER_PATH)
        self.assert_beats(Route(b"a", b"/ab.*"), Route(b"a", b"/a"), Rule.LONGER_PATH)
        self.assert_beats(Route(b".*", b"/ab[0-9]"), Route(b".*", b"/a.*"), Rule.LONGER_PATH)

    def test_a_wholly_literal_path_beats_a_pattern(self) -> None:
        self.assert_beats(Route(b"a", b"/a"), Route(b"a", b"/a.*"), Rule.LITERAL_PATH)
        self.assert_beats(Route(b"a", b"/a"), Route(b"a", b"/a[b]?"), Rule.LITERAL_PATH)

    def test_longer_patterns_beat_shorter_ones(self) -> None:
        self.assert_beats(
            Route(b"[a]", b"/[a]"), Route(b".*", b"/[a][b]?"), Rule.LONGER_HOST_PATTERN
        )
        self.assert_beats(
            Route(b".*", b"/[a][b]?"), Route(b".*", b"/[a]"), Rule.LONGER_PATH_PATTERN
        )

    def test_the_order_of_bytes_decides_last(self) -> None:
        self.assert_beats(Route(b"[a].*", b"/[a]"), Route(b"[b].*", b"/[a]"), Rule.HOST_BYTES)
        self.assert_beats(Route(b".*", b"/[a]"), Route(b".*", b"/[b]"), Rule.PATH_BYTES)

    def test_spelling_is_no_matter(self) -> None:
        """Equal routes have one precedence, however they are written."""
        for one, other in (
            (Route(b"A", b"/a-.*"), Route(b"a", rb"/a\-.*")),
            (Route(rb".*", rb"/a\-b"), Route(rb".*", rb"/a-b$")),
        ):
            self.assertEqual(one, other)
            self.assertEqual(one.precedence(), other.precedence())

    @given(routes, routes)
    @relaxed
    def test_it_is_total(self, one: Route, other: Route) -> None:
        """Of two routes that are not equal one wins, whoever came first."""
        self.assertEqual(one == other, one.precedence() == other.precedence())

    def test_every_rule_has_a_sentence(self) -> None:
        self.assertEqual(len({rule.sentence for rule in Rule}), len(Rule))

    def test_equal_precedences_cannot_be_decided(self) -> None:
        key = Route(b"a").precedence()
        self.assertRaises(ValueError, decisive, key, key)
