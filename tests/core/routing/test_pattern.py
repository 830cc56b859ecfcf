"""Tests of subproxy.core.routing.pattern."""

from __future__ import annotations

import time

import re2
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.routing.pattern import (
    MAX_MATCHED,
    Kind,
    Pattern,
    RouteRefused,
    _has_alternative,
    _is_sound,
    escape,
    host_pattern,
    options,
    path_pattern,
)
from tests.rigs.core_strategies import relaxed

tokens = st.lists(
    st.sampled_from(
        [
            b"a",
            b"B",
            b"/",
            b".",
            b"*",
            b"+",
            b"?",
            b"|",
            b"(",
            b")",
            b"[",
            b"]",
            b"^",
            b"$",
            b"\\.",
            b"\\|",
            b"\\Q",
            b"\\E",
            b"\\d",
            b"{2}",
            b"{0}",
            b"-",
            b"(?i)",
            b"(?s)",
            b"\xe9",
            b"\\\\",
            b"\\(",
            b"\\[",
            b"\\b",
            b"(?:",
            b"\\x41",
            b"(?m)",
            b"{",
            b"}",
            b"\n",
        ]
    ),
    min_size=1,
    max_size=10,
).map(b"".join)
texts = st.lists(
    st.sampled_from(
        [b"a", b"b", b"A", b"/", b".", b"|", b"0", b"-", b"\xe9", b"\\", b"(", b"[", b"\n", b"{2}"]
    ),
    max_size=8,
).map(b"".join)


def refused(source: bytes) -> RouteRefused:
    try:
        Pattern(source)
    except RouteRefused as refusal:
        return refusal
    raise AssertionError(f"{source!r} was accepted")


class KindTests(SynchronousTestCase):
    """What is literal, what is a literal prefix, and what RE2 decides."""

    def test_examples(self) -> None:
        for source, kind, literal in [
            (rb"blog\.example", Kind.LITERAL, b"blog.example"),
            (rb"^blog\.example$", Kind.LITERAL, b"blog.example"),
            (rb"a\-b", Kind.LITERAL, b"a-b"),
            (rb"/a\\b", Kind.LITERAL, b"/a\\b"),
            (rb".*", Kind.PREFIX, b""),
            (rb"^.*$", Kind.PREFIX, b""),
            (rb"/api/.*", Kind.PREFIX, b"/api/"),
            (rb"/api/.*?", Kind.REGEX, b"/api/"),
            (rb"/api/.+", Kind.REGEX, b"/api/"),
            (rb"/api(/.*)?", Kind.REGEX, b"/api"),
            (rb"/apis?", Kind.REGEX, b"/api"),
            (rb"/ab*", Kind.REGEX, b"/a"),
            (rb"/ab+", Kind.REGEX, b"/a"),
            (rb"/ab{2}", Kind.REGEX, b"/a"),
            (rb"/a\.?b", Kind.REGEX, b"/a"),
            (rb"a*", Kind.REGEX, b""),
            (rb"/a|/b", Kind.REGEX, b""),
            (rb"/a(x|y)", Kind.REGEX, b"/a"),
            (rb"/a(x|y)|z", Kind.REGEX, b""),
            (rb"/a\(x|y", Kind.REGEX, b""),
            (rb"/a.\|b", Kind.REGEX, b"/a"),
            (rb"/a[(]|b", Kind.REGEX, b""),
            (rb"/a\Q(\E|b", Kind.REGEX, b""),
            (rb"/v\d", Kind.REGEX, b"/v"),
            (rb"/\x69", Kind.REGEX, b"/"),
            (b"/\xe9", Kind.LITERAL, b"/\xe9"),
            (b"/\xff.", Kind.REGEX, b"/\xff"),
            (rb"blog.example", Kind.REGEX, b"blog"),
            (rb"/(\w{3}){9}", Kind.REGEX, b"/"),
            (rb"a$b", Kind.REGEX, b"a"),
            (rb"^", Kind.LITERAL, b""),
        ]:
            pattern = Pattern(source)
            self.assertEqual((pattern.kind, pattern.literal), (kind, literal), source)
            self.assertEqual(pattern.program > 0, not pattern.simple, source)
            # Nor had RE2 to say so.
            self.assertEqual(Pattern(source, lazy=True).literal, literal, source)
        self.assertEqual(host_pattern(rb"blog\.(a|b)").literal, b"blog.")

    def test_re2_is_asked_where_matches_lie(self) -> None:
        """Where it says no, the literal was misread."""
        compiled = re2.compile(b"/a(b|d)", options(ignore_case=False))
        for literal, sound in ((b"/", True), (b"/a", True), (b"/ab", False), (b"/ad", False)):
            self.assertIs(_is_sound(compiled, literal, False), sound, literal)

    @given(tokens, texts)
    @example(b"a|b", b"b")
    @example(b"/[^]|]*x", b"/ax")
    @relaxed
    def test_it_matches_what_re2_matches(self, source: bytes, text: bytes) -> None:
        try:
            pattern = Pattern(source)
        except RouteRefused:
            return
        expected = re2.compile(source, options(ignore_case=False)).fullmatch(text) is not None
        if b"(?m)" not in source:
            self.assertEqual(pattern.matches(text), expected)
        if expected:
            self.assertTrue(text.startswith(pattern.literal))

    @given(tokens, texts)
    @example(b"a(?i)*", b"")
    @example(b"ab\\Q\\E?c", b"ac")
    @relaxed
    def test_without_case_it_matches_what_re2_matches(self, source: bytes, text: bytes) -> None:
        try:
            pattern = Pattern(source, ignore_case=True)
        except RouteRefused:
            return
        text = text.lower()
        expected = re2.compile(source, options(ignore_case=True)).fullmatch(text) is not None
        if b"(?m)" not in source:
            self.assertEqual(pattern.matches(text), expected)

    def test_flags_within(self) -> None:
        """Where they say that case is ignored, what the pattern ends with is in either case."""
        for source in (b"/(?i)shop", b"(?i)/shop", b"/(?is)shop", b"/(a|s)?(?i)hop"):
            pattern = Pattern(source)
            self.assertTrue(pattern.matches(b"/sHOP" if b"a" in source else b"/SHOP"), source)
            self.assertFalse(pattern.matches(b"/shops"), source)

    def test_capitals_at_the_end(self) -> None:
        """They are as they are, or, without case, no other than small letters."""
        for ignore_case, matching in ((False, b"aX"), (True, b"ax")):
            pattern = Pattern(b"(a|b)X", ignore_case=ignore_case)
            self.assertEqual(
                [text for text in (b"aX", b"ax", b"x") if pattern.matches(text)], [matching]
            )

    @given(tokens | st.binary(min_size=1, max_size=20))
    @relaxed
    def test_what_is_accepted_re2_can_compile(self, source: bytes) -> None:
        try:
            Pattern(source)
        except RouteRefused as refusal:
            self.assertTrue(refusal.reason)
            return
        re2.compile(source, options(ignore_case=False))

    @given(st.binary(min_size=1, max_size=20), st.binary(max_size=20))
    @relaxed
    def test_an_escaped_text_matches_itself_alone(self, text: bytes, other: bytes) -> None:
        if text.isascii():
            self.assertTrue(Pattern(re2.escape(text)).matches(text))
        pattern = Pattern(escape(text))
        self.assertIs(pattern.kind, Kind.LITERAL)
        self.assertTrue(pattern.matches(text))
        self.assertEqual(pattern.matches(other), other == text)


class AlternativeTests(SynchronousTestCase):
    def test_an_alternative_may_make_the_beginning_optional(self) -> None:
        """One within parentheses does not; where that is doubtful, it counts as one that does."""
        for rest, may in (
            (b"a", False),
            (b"|a", True),
            (b"(a|b)", False),
            (b"((a)|b)|c", True),
            (b"((a)|b)", False),
            (b"(a)(b|c)", False),
            (b"((a)(b|c))", False),
            (b"((a|b)", False),
            (b"(a)b|c", True),
            (rb"a\|b", False),
            (rb"\\|b", True),
            (rb"\(|b", True),
            (rb"(\)|b)", False),
            (b"[(]|b", True),
            (b"([a]|b)", True),
            (rb"(\Qa\E|b)", True),
            (b"[a]", False),
            (b")|a", True),
        ):
            self.assertIs(_has_alternative(rest), may, rest)


class RefusalTests(SynchronousTestCase):
    """A person understands why a pattern is refused."""

    def test_examples(self) -> None:
        for source, words in [
            (b"", "empty"),
            (b"a(?=b)", "look-ahead"),
            (b"a(?!b)", "look-ahead"),
            (b"(?<=a)b", "look-behind"),
            (b"(?<!a)b", "look-behind"),
            (b"(?>a)", "atomic"),
            (b"(a)?(?(1)b)", "conditional"),
            (b"(?#a)", "comments"),
            (rb"a\Z", "anchored"),
            (rb"(a)\1", "back-references"),
            (b"[a-z]{,63}", "{0,63}"),
            (b"(a{,3}|b)", "{0,3}"),
            (b"a++", "possessive"),
            (b"a*+", "possessive"),
            (b"a**", "**"),
            (b"[z-+]", "range"),
            (b"[]a", "missing ]"),
            (b"[^]a", "missing ]"),
            (b"(a){3,2}", "from the less"),
            (rb"*\.example", "for any text write .*"),
            (b"(", "missing )"),
            (rb"\h", "escape"),
            (rb"\X", "escape"),
            (b"\\\x80", "ASCII"),
            (rb"\x{}", "escape"),
            (b"(?P<a", "(?P<a"),
            (b"a\\", "trailing"),
            (b".{1001}", "1000"),
            (b"((a{100}){100}){100}", "1000"),
            (b".{1000}", "1004 instructions"),
            (rb"\pL{900}", "no use"),
            (b"(a?b)" * 100, "instructions"),
        ]:
            refusal = refused(source)
            self.assertEqual(refusal.code, "pattern", source)
            self.assertIn(words, refusal.reason, source)
            self.assertEqual(str(refusal), f"{refusal.reason} [pattern]")

    def test_without_case_there_is_ascii_alone(self) -> None:
        """RE2 knows both cases of other letters, and we do not."""
        self.assertIs(Pattern(b"a\x80").kind, Kind.LITERAL)
        self.assertRaises(RouteRefused, Pattern, b"a\x80", ignore_case=True)

    def test_bytes_of_a_pattern(self) -> None:
        self.assertEqual(Pattern(b"a" * 1024).kind, Kind.LITERAL)
        refusal = refused(b"a" * 1025)
        self.assertEqual(refusal.code, "pattern")
        self.assertIn("1025", refusal.reason)

    def test_instructions_of_a_pattern(self) -> None:
        spare = 200 - Pattern(b".{2}").program
        self.assertEqual(Pattern(b".{%d}" % (2 + spare)).program, 200)
        self.assertEqual(refused(b".{%d}" % (3 + spare)).code, "pattern")

    def test_tame_patterns_cost_nothing(self) -> None:
        pattern = Pattern(b"/users/[0-9]+/[a-z]*")
        self.assertEqual((pattern.kind, pattern.simple, pattern.program), (Kind.REGEX, True, 0))
        pattern = Pattern(b"/(a|b)")
        self.assertEqual((pattern.simple, pattern.program > 0), (False, True))
        self.assertTrue(Pattern(b"[a-z]*X[0-9]").simple)
        self.assertFalse(Pattern(b"[a-z]*X[0-9]", ignore_case=True).simple)

    def test_what_a_match_may_cost(self) -> None:
        """Nanoseconds: of a call, of the steps of a simple one, of each instruction for a byte."""
        for source, cost in (
            (b"/a", 800),
            (b"/a.*", 800),
            (b"/[ab]", 800 + 4 * 250),
            (b"/[a-z]*", 800 + 4 * 250 + 500 + 4 * 1024),
        ):
            self.assertEqual(Pattern(source).cost, cost, source)
        lazy, pattern = Pattern(b"/(a|b)", lazy=True), Pattern(b"/(a|b)")
        self.assertGreater(lazy.cost, pattern.cost)
        compiled = re2.compile(b"/(a|b)", options(ignore_case=False))
        self.assertEqual(pattern.program, compiled.programsize)
        self.assertEqual(pattern.cost, 800 + 8 * 1024 * pattern.program)
        self.assertIs(lazy.compile(), False)  # its literal is the same
        self.assertEqual(lazy.cost, pattern.cost)
        host = host_pattern(b"(a|b)")
        self.assertEqual(host.cost, 800 + 8 * 255 * host.program)

    def test_a_long_text_is_matched_by_literals_only(self) -> None:
        text = b"/" + b"a" * (MAX_MATCHED - 1)
        self.assertTrue(Pattern(b"/a+").matches(text))
        self.assertFalse(Pattern(b"/a+").matches(text + b"a"))
        self.assertTrue(Pattern(b"/a.*").matches(text + b"a"))

    def test_catastrophes_of_backtracking_are_harmless(self) -> None:
        pattern = Pattern(b"(a+)+b")
        begun = time.process_time()
        self.assertFalse(pattern.matches(b"a" * MAX_MATCHED))
        self.assertLess(time.process_time() - begun, 1.0)


class HostPatternTests(SynchronousTestCase):
    """C{host_pattern}."""

    def test_case_and_final_dot_are_ignored(self) -> None:
        self.assertEqual(host_pattern(rb"Blog\.Example\."), host_pattern(rb"blog\.example"))
        self.assertTrue(host_pattern(rb"BLOG\.example").matches(b"blog.example"))
        self.assertTrue(host_pattern(rb"[A-Z]+\.example").matches(b"blog.example"))
        self.assertEqual(host_pattern(rb"\[::1\]").literal, b"[::1]")

    def test_what_never_matches_is_refused(self) -> None:
        for source, words in [
            (rb"blog\.example:80", "port"),
            (rb"\[::1\]:80", "port"),
            (rb"\.", "empty"),
            (rb".*:80", "port"),
            (rb"[a-z]+\.example:[0-9]+x:1", "port"),
            ("bücher\\.example".encode(), "for bücher write xn--bcher-kva"),
            ("(www\\.)?straße\\.example".encode(), "for straße write xn--strae-oqa"),
            (b"b\xfccher", "xn--"),
            (b"a b", "Host is not a host"),
            (rb"a\.example/", "Host is not a host"),
            (rb"a\.example/.*", "'/'"),
            (rb".*\.example/", "'/'"),
            (rb"(a|b) c", "' '"),
            (rb"[a-z]+[ /]x", "class"),
            (rb"[a-z][ ]+x", "' '"),
            (rb"user@a", "not a host"),
            (b"a" * 256, "not a host"),
            (b"a\tb", r"\x09"),
            (b"a\x1fb", r"\x1F"),
            (b"a[\x7f]?", r"\x7F"),
            (rb"\[x\]", "not a host"),
        ]:
            with self.assertRaises(RouteRefused) as caught:
                host_pattern(source)
            self.assertEqual(caught.exception.code, "pattern")
            self.assertIn(words, caught.exception.reason)

    def test_what_may_match_is_taken(self) -> None:
        for source, host in [
            (rb"[^ /]+\.example", b"a.example"),
            (rb"a[ .]?b", b"ab"),
            (rb"a[ ]?b", b"ab"),
            (rb"a[ ]*b", b"ab"),
            (rb"\[.*\]", b"[::1]"),
            (rb"\[fd00:.*", b"[fd00::1]"),
            (rb".*::1\]", b"[fd00::1]"),
            (rb"(.*\.)?a_b\.example", b"a_b.example"),
            (rb"xn--bcher-kva\.example", b"xn--bcher-kva.example"),
        ]:
            self.assertTrue(host_pattern(source).matches(host), source)

    def test_patterns_of_both_cases_are_not_equal(self) -> None:
        self.assertNotEqual(Pattern(b"a"), Pattern(b"a", ignore_case=True))
        self.assertNotEqual(Pattern(b"a"), b"a")
        self.assertNotEqual(Pattern(b"a.*"), Pattern(b"a"))
        self.assertNotEqual(Pattern(b"a."), Pattern(b"a.."))
        self.assertEqual(hash(Pattern(b"^a$")), hash(Pattern(b"a")))

    def test_repr(self) -> None:
        self.assertEqual(repr(Pattern(b"/a.*")), "<Pattern /a.* prefix>")


class PathPatternTests(SynchronousTestCase):
    """C{path_pattern}."""

    def test_what_never_matches_is_refused(self) -> None:
        for source, words in [
            (b"api", "'/'"),
            (b"api/.*", "'/'"),
            (b"/a//b", "/a/b"),
            (rb"/a\.b/\.\./\.b", r" /\.b"),
            (b"/%7Ea", "/~a"),
            (b"/caf\xc3\xa9", "/caf%C3%A9"),
            (b"/caf\xc3\xa9/.*", "%XX"),
            (b"/a//b/.*", "/a/b/"),
            (b"//.*", "begins here with /"),
            (b"/a/\\.\\./b.*", "begins here with /b"),
            (b"/%7Ea/.*", "/~a/"),
            (b"/%2fx[ab]", "/%2Fx"),
            (b"/%zz.*", "/%25zz"),
            (b"/a b.*", "/a%20b"),
            (b"/a\\?x=.*", "query"),
            (b"/a#x.*", "query"),
            (b"/[a-z]+ x", "' '"),
            (b"/(a|b) x", "' '"),
            (b'/a[ "]b', "class"),
            (b"/a\x00", r"\x00"),
            (b"/[a\x7f]+", r"\x7F"),
        ]:
            with self.assertRaises(RouteRefused) as caught:
                path_pattern(source)
            self.assertEqual(caught.exception.code, "pattern")
            self.assertIn(words, caught.exception.reason)

    def test_what_may_match_is_taken(self) -> None:
        for source, path in [
            (b"/caf%C3%A9/.*", b"/caf%C3%A9/x"),
            (b"/%[0-9A-F]{2}", b"/%20"),
            (b"/%2.*", b"/%20"),
            (b"/a/\\..*", b"/a/.b"),
            (b"/a/\\.\\..*", b"/a/..b"),
            (b"/[^ ]+", b"/a"),
            (b"(/a|/b)", b"/a"),
        ]:
            self.assertTrue(path_pattern(source).matches(path), source)

    def test_case_matters(self) -> None:
        self.assertFalse(path_pattern(b"/API").matches(b"/api"))
        self.assertTrue(path_pattern(b".*").matches(b"/api"))
