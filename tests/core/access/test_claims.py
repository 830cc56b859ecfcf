"""Tests of subproxy.core.access.claims."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access import claims as claims_module
from subproxy.core.access.claims import HEADS, Claim, ClaimError, conflict, wildcard
from subproxy.core.routing.pattern import Pattern, host_pattern
from subproxy.core.routing.route import Route
from tests.rigs.core_strategies import hosts, paths, relaxed, routes

claims = st.builds(
    Claim,
    st.sampled_from(["a.example", "b.example", "*.example", "*.a.example", "*", "[::1]"]),
    st.sampled_from(["/", "/a", "/api", "/api/v1", "/a/b"]),
)


class ClaimTests(SynchronousTestCase):
    """What is a claim."""

    def test_attributes(self) -> None:
        claim = Claim("Blog.Example", "/api/")
        self.assertEqual(
            (claim.host, claim.literal, claim.suffix), ("blog.example", True, b"blog.example")
        )
        self.assertEqual((claim.path, str(claim)), (b"/api", "blog.example/api"))
        self.assertEqual(Claim("blog.example", "/X/X/").path, b"/X/X")
        claim = Claim("*.example", "/")
        self.assertEqual((claim.literal, claim.suffix, claim.path), (False, b".example", b""))
        self.assertEqual((str(claim), repr(claim)), ("*.example/", "<Claim *.example/>"))
        self.assertEqual((Claim("*", "/").literal, Claim("*", "/").suffix), (False, b""))
        self.assertEqual(Claim("[2001:DB8::1]", "/").suffix, b"[2001:db8::1]")

    def test_equality(self) -> None:
        self.assertEqual(Claim("a", "/b"), Claim("A", "/b/"))
        self.assertEqual(
            len({Claim("a", "/b"), Claim("A", "/b/"), Claim("a", "/"), Claim("b", "/b")}), 3
        )
        self.assertNotEqual(Claim("a", "/"), "a/")

    def test_what_is_no_claim(self) -> None:
        for host, path, words in [
            ("blog.example:80", "/", "port"),
            ("[::1]:80", "/", "port"),
            ("*.[::1]", "/", "port"),
            ("https://blog.example", "/", "leave the scheme out"),
            ("https://blog.example:80/x", "/", "leave the scheme out"),
            ("2001:db8::1", "/", "brackets"),
            ("blog.example/x", "/", "stands in paths"),
            ("blög.example", "/", "xn--"),
            ("blog.*", "/", "beginning"),
            ("*blog.example", "/", "beginning"),
            ("*.*.example", "/", "beginning"),
            ("", "/", "not a host name"),
            ("*.", "/", "not a host name"),
            ("*..example", "/", "not a host name"),
            (".example", "/", "not a host name"),
            ("a..b", "/", "not a host name"),
            ("http//a", "/", "not a host name"),
            ("a.example.", "/", "final dot"),
            ("a", "", "begin with"),
            ("a", "api", "begin with"),
            ("a", "/api/.*", "leave '*' out"),
            ("a", "/a//b", "'/a/b'"),
            ("a", "/é", "'/%C3%A9'"),
            ("a", "/a?b", "'/a'"),
        ]:
            with self.assertRaises(ClaimError) as caught:
                Claim(host, path)
            self.assertIn(words, str(caught.exception), host + path)

    def test_covers(self) -> None:
        for claim, host, path, covered in [
            (Claim("a.example", "/"), b"a.example", b"/", True),
            (Claim("a.example", "/"), b"x.a.example", b"/", False),
            (Claim("*.example", "/"), b"a.example", b"/x", True),
            (Claim("*.example", "/"), b"b.a.example", b"/x", True),
            (Claim("*.example", "/"), b"example", b"/", False),
            (Claim("*.example", "/"), b"anexample", b"/", False),
            (Claim("*", "/api"), b"any", b"/api", True),
            (Claim("*", "/api"), b"any", b"/api/x", True),
            (Claim("*", "/api"), b"any", b"/apis", False),
            (Claim("*", "/api"), b"any", b"/", False),
        ]:
            self.assertIs(claim.covers(host, path), covered, (claim, host, path))

    def test_covers_route(self) -> None:
        for claim, host, path, covered in [
            (Claim("a.example", "/"), rb"a\.example", rb"/.*", True),
            (Claim("a.example", "/"), rb"A\.Example", rb".*", True),
            (Claim("a.example", "/"), rb"a.example", rb"/.*", False),
            (Claim("a.example", "/"), rb".*\.a\.example", rb"/.*", False),
            (Claim("a.example", "/api"), rb"a\.example", rb"/api", True),
            (Claim("a.example", "/api"), rb"a\.example", rb"/api/.*", True),
            (Claim("a.example", "/api"), rb"a\.example", rb"/api/[0-9]+", True),
            (Claim("a.example", "/api"), rb"a\.example", rb"/api.*", False),
            (Claim("a.example", "/api"), rb"a\.example", rb"/api(/.*)?", False),
            (Claim("a.example", "/api"), rb"a\.example", rb"/api/|/x", False),
            (Claim("a.example", "/api"), rb"a\.example", rb"/apis", False),
            (Claim("a.example", "/api"), rb"a\.example", rb".*", False),
            (Claim("*.example", "/"), rb"a\.example", rb"/.*", True),
            (Claim("*.example", "/"), rb"\.example", rb"/.*", False),
            (Claim("*.example", "/"), rb"example", rb"/.*", False),
            (Claim("*.example", "/"), rb".*\.example", rb"/.*", True),
            (Claim("*.example", "/"), rb"^.+\.Example$", rb"/.*", True),
            (Claim("*.example", "/"), rb"[^.]+\.a\.example", rb"/.*", True),
            (Claim("*.example", "/"), rb".*example", rb"/.*", False),
            (Claim("*.example", "/"), rb".*\.example|b", rb"/.*", False),
            (Claim("*.example", "/"), rb".*\.anexample", rb"/.*", False),
            (Claim("*.a.example", "/"), rb".*\.example", rb"/.*", False),
            (Claim("*", "/"), rb"(a|b)+", rb"/.*", True),
            (Claim("*", "/"), rb".*", rb".*", True),
        ]:
            self.assertIs(claim.covers_route(Route(host, path)), covered, (claim, host, path))

    def test_wildcards(self) -> None:
        for head in (rb".*\.", rb".+\.", rb"[^.]+\.", rb"[^.]*\.", rb"[a-z0-9-]+\."):
            self.assertEqual(wildcard(host_pattern(head + rb"a\.Example")), b".a.example")
        for source in (
            b".*",
            rb".*\.a.example",
            rb".*\.a(b)",
            rb"x.*\.a",
            rb".*\.",
            rb".*\.a\$",
            rb".*\.[a]",
        ):
            self.assertIsNone(wildcard(Pattern(source, ignore_case=True)), source)

    def test_what_a_host_may_meet(self) -> None:
        """Whether it may match any host within the claim, be that more or less than the claim."""
        every, one = Claim("*.b.example", "/"), Claim("x.b.example", "/")
        self.assertTrue(Claim("*", "/").meets_host(host_pattern(HEADS[0] + rb"c\.example")))
        for source, of_every, of_one in (
            (rb"x\.b\.example", True, True),
            (rb"y\.b\.example", True, False),
            (rb"x\.c\.example", False, False),
            (HEADS[0] + rb"example", True, True),
            (HEADS[0] + rb"a\.b\.example", True, False),
            (HEADS[0] + rb"c\.example", False, False),
            (HEADS[0] + rb"x\.b\.example", True, False),
            (rb"[xy]\.c\.example", True, True),  # who can tell
        ):
            host = host_pattern(source)
            self.assertIs(every.meets_host(host), of_every, source)
            self.assertIs(one.meets_host(host), of_one, source)

    def test_a_wildcard_is_read_once_however_many_claims_there_are(self) -> None:
        """A hostile pattern is long; a policy has many claims."""
        route = Route(rb".*\.read-once\.example", b"/.*", lazy=True)
        some = [Claim(f"*.{number}.example", "/") for number in range(50)]
        with patch.object(claims_module, "Pattern", wraps=Pattern) as read:
            for claim in some:
                self.assertFalse(claim.covers_route(route))
        self.assertEqual(read.call_count, 1)

    @given(claims, routes, hosts, paths)
    @relaxed
    def test_all_that_a_covered_route_matches_is_covered(
        self, claim: Claim, route: Route, host: bytes, path: bytes
    ) -> None:
        if claim.covers_route(route) and route.matches(host, path):
            self.assertTrue(claim.covers(host, path))

    def test_the_most_specific(self) -> None:
        ordered = [
            Claim("a.example", "/api"),
            Claim("a.example", "/"),
            Claim("*.a.example", "/api"),
            Claim("*.a.example", "/"),
            Claim("*.example", "/a/b/c"),
            Claim("*", "/a/b/c"),
        ]
        self.assertEqual(sorted(ordered, key=lambda c: c.specificity, reverse=True), ordered)

    def test_conflicts(self) -> None:
        for one, other, words in [
            (Claim("a", "/"), Claim("a", "/"), "twice"),
            (Claim("*.a", "/x"), Claim("*.a", "/x/"), "twice"),
            (Claim("a", "/"), Claim("a", "/x"), None),
            (Claim("a", "/"), Claim("b", "/"), None),
            (Claim("*.b", "/"), Claim("a.b", "/"), None),
            (Claim("*.b", "/"), Claim("*.c", "/"), None),
            (Claim("*.b", "/"), Claim("*.b", "/x"), "overlaps"),
            (Claim("*.b", "/"), Claim("*.a.b", "/"), "overlaps"),
            (Claim("*.b", "/x"), Claim("*.a.b", "/x/y"), "overlaps"),
            (Claim("*.b", "/x"), Claim("*.a.b", "/xy"), None),
            (Claim("*", "/"), Claim("*.b", "/x"), "overlaps"),
            (Claim("*", "/"), Claim("b", "/x"), None),
        ]:
            for first, second in ((one, other), (other, one)):
                reason = conflict(first, second)
                if words is None:
                    self.assertIsNone(reason, (first, second))
                else:
                    self.assertIn(words, reason or "", (first, second))
