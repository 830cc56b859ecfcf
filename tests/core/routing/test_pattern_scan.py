"""Tests of subproxy.core.routing.pattern_scan: what RE2 is not asked about."""

from __future__ import annotations

from unittest.mock import patch

import re2
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.routing import pattern as pattern_module
from subproxy.core.routing.pattern import MAX_PROGRAM, Pattern, RouteRefused, options
from subproxy.core.routing.pattern_scan import NO_OTHERS, OVERHEAD, PatternFault, scan
from tests.rigs.core_strategies import relaxed
from tests.rigs.examples import examples

MOST = 100_000

pieces = st.sampled_from(
    [
        "a",
        "A",
        "1",
        "/",
        ".",
        "-",
        "\\.",
        "\\d",
        "\\W",
        "\\s",
        "\\b",
        "\\A",
        "\\z",
        "\\C",
        "\\Qab\\E",
        "\\Q(\\E",
        "\\Q[\\E",
        "\\E",
        "\\x41",
        "\\x{41}",
        "\\101",
        "\\n",
        "[a-z]",
        "[^a]",
        "[]a]",
        "[^]a]",
        "[[:alpha:]]",
        "[[:^digit:]]",
        "[\\]a]",
        "[a\\d-]",
        "[(]",
        "[{2}]",
        "[ab",
        "[^ab]",
        "]",
        "(",
        "(?:",
        "(?i:",
        "(?P<n>",
        "(?i)",
        "(?s)",
        "(?-i)",
        "(?U)",
        ")",
        ")",
        "|",
        "|",
        "*",
        "+",
        "?",
        "*?",
        "{2}",
        "{2,}",
        "{1,3}",
        "{0}",
        "{3,2}",
        "{",
        "{,2}",
        "}",
        "^",
        "$",
    ]
)
sources = st.lists(pieces, min_size=1, max_size=12).map(lambda some: "".join(some).encode())


def reason(source: bytes, most: int = MOST) -> str:
    try:
        scan(source, most)
    except PatternFault as fault:
        return str(fault)
    return ""


class ScanTests(SynchronousTestCase):
    """C{scan}."""

    @given(sources, st.booleans())
    @settings(relaxed, max_examples=examples(500))
    def test_it_is_a_bound_of_the_program(self, source: bytes, ignore_case: bool) -> None:
        """Whatever RE2 compiles has no more instructions, and ends with what was read."""
        try:
            work, tail = scan(source, 2000, ignore_case=ignore_case)
            compiled = re2.compile(source, options(ignore_case=ignore_case))
        except (PatternFault, re2.error):
            return
        self.assertLessEqual(compiled.programsize, work, source)
        for text in (b"a", b"ab", b"1", b"/", b"aa", b"a1", b".", b"-", b"a/", b"A", b"aA", b"aB"):
            if ignore_case:
                text = text.lower()
            if compiled.fullmatch(text) is not None:
                self.assertTrue(text.endswith(tail), (source, text, tail))

    def test_repetitions_multiply(self) -> None:
        for source, work in [
            (b"a", 1),
            (b"ab", 2),
            (b"a{10}", 10),
            (b"ab{10}", 11),
            (b"(ab){10}", 40),
            (b"((ab){10}){10}", 420),
            (b"a{2,4}", 8),
            (b"a{2,}", 7),
            (b"a*", 5),
            (b"a?", 3),
            (b"a|b", 4),
            (b"[a-c]{10}", 80),
            (rb"\Qab\E{3}", 4),
            (b"a(?i){10}", 10),
            (b"a{10}(?i){10}", 100),
            (b"a$", 2),
            (b"a^b", 3),
            (b"a{b", 3),
            (b"XY", 2),
        ]:
            self.assertEqual(scan(source, MOST)[0] - OVERHEAD, work, source)

    def test_characters_by_number(self) -> None:
        """The last that a path can have is 7F, however it is spelt."""
        for source in (rb"\x7f", rb"\x{7F}", rb"\177", rb"[\x7f]", b"\x7f", b"\\\x7f"):
            self.assertEqual(scan(source, MOST)[0] - OVERHEAD > 0, True, source)
        for source in (rb"\x80", rb"\x{80}", rb"\x{fc}", rb"\200", rb"[\x80]", b"\x80", b"[\x80]"):
            self.assertEqual(reason(source), NO_OTHERS, source)

    def test_escapes_cost_what_they_compile_to(self) -> None:
        """A class in a class counts like any other part of it."""
        for source, work in [
            (rb"\d", 6),
            (rb"[\d]", 8),
            (rb"[\d\d]", 14),
            (rb"[\.\.]", 6),
            (rb"\Qab\Ec", 3),
            (rb"\Qabc", 3),
            (rb"\Ea", 1),
            (rb"\.\-", 2),
            (rb"[^]a]", 6),
            (rb"[[:alpha:][:digit:]]", 14),
            (rb"\x41", 1),
            (rb"\101", 1),
        ]:
            self.assertEqual(scan(source, MOST)[0] - OVERHEAD, work, source)

    def test_how_a_pattern_ends(self) -> None:
        for source, tail in [
            (rb"(www\.)?blog\.example", b"blog.example"),
            (rb"(a|b)\.example$", b".example"),
            (rb"(a|b)c+", b""),
            (rb"(a|b)c{2}d", b"d"),
            (rb"(a|b)|c", b""),
            (rb"[a-z]{2}x\b", b""),
            (rb"(a)\Qx.\Ey", b"x.y"),
            (rb"(a)x\d", b""),
            (rb"(a", b""),
            (rb"(a)x\x41", b""),
            (rb"(a)x[b]", b""),
            (rb"(a)x(?s)", b""),
            (rb"(a)(?s)x", b"x"),
            (rb"(a)(?i)x", b""),
            (rb"(a|(?i)b)x", b""),
            (rb"(a)|(b)c", b""),
            (rb"a|(b|c)d", b""),
            (rb"(a)\Q\Eb", b"b"),
            (rb"(a)b\Ec", b"bc"),
            (rb"(a)b$c", b"c"),
            (rb"(a)b$", b"b"),
        ]:
            self.assertEqual(scan(source, MOST)[1], tail, source)
        self.assertEqual(scan(b"(?i)(a)X", MOST, ignore_case=True)[1], b"x")

    def test_what_is_refused(self) -> None:
        for source, words in [
            (rb"\pL", "no use"),
            (rb"\PN", "no use"),
            (rb"[\p{Greek}]", "no use"),
            (rb"[a-\x{100}]", "ASCII"),
            (rb"\x80", "ASCII"),
            (rb"\377", "ASCII"),
            (b"(\xc3\xbc)", "ASCII"),
            (b"[\xc3]", "ASCII"),
            (b"(\\Q\xc3\\E)", "ASCII"),
            (b"\\\x80", "ASCII"),
            (b"(a{3}){400}", "1000"),
            (b"(a){1001}", "1000"),
            (b"(" * 50 + b"a" + b")" * 50, "nested"),
        ]:
            self.assertIn(words, reason(source), source)
        self.assertEqual(reason(b"(" * 49 + b"a" + b")" * 49), "")
        for source in (
            b"a{1000}",
            b"(a){1000}",
            b"(a{10}){100}",
            b"((a{2}){5}){100}",
            b"a{0,1000}",
        ):
            self.assertEqual(reason(source), "", source)
        for source in (
            b"(a{10}){101}",
            b"((a{10})b){101}",
            b"((a{2}){5}){101}",
            b"a{0,1001}",
            b"a{100}(?i){11}",
            b"(b?a{3}){334}",
        ):
            self.assertIn("1000", reason(source), source)

    def test_the_bound(self) -> None:
        work = scan(b"(ab){10}", MOST)[0]
        self.assertEqual(reason(b"(ab){10}", work), "")
        self.assertIn(f"{work} instructions", reason(b"(ab){10}", work - 1))

    @given(sources | st.binary(min_size=1, max_size=40))
    @relaxed
    def test_any_bytes_are_read_to_the_end(self, source: bytes) -> None:
        try:
            work, _ = scan(source, MOST)
        except PatternFault as fault:
            self.assertTrue(str(fault))
            return
        self.assertGreaterEqual(work, OVERHEAD)


class AskedTests(SynchronousTestCase):
    """RE2 is asked about small patterns alone."""

    def test_what_is_refused_never_reaches_it(self) -> None:
        with patch.object(pattern_module, "_compile", side_effect=AssertionError):
            for source in [
                rb"\pL",
                rb"(?i)\pL{3}",
                rb"[\pL]x",
                rb"(\x{3b1})",
                b"(a|b){%d}" % MAX_PROGRAM,
                b"((a|b){9}){99}",
                b"(" * 60 + b")" * 60,
            ]:
                for ignore_case in (False, True):
                    self.assertRaises(RouteRefused, Pattern, source, ignore_case=ignore_case)

    def test_what_is_tame_never_reaches_it(self) -> None:
        with patch.object(pattern_module, "_compile", side_effect=AssertionError):
            for source in [b"/.*" + b"a" * 476, b"/[ab]" * 30, b"[^/]*/x", b"a.*", b"a"]:
                pattern = Pattern(source)
                pattern.matches(b"/a")
                self.assertIs(pattern.compile(), False)

    def test_a_lazy_pattern_reaches_it_when_it_is_needed(self) -> None:
        with patch.object(pattern_module, "_compile", wraps=pattern_module._compile) as asked:
            pattern = Pattern(b"/(a|b)", lazy=True)
            self.assertEqual((pattern.literal, asked.call_count), (b"/", 0))
            self.assertFalse(pattern.matches(b"x"))
            self.assertEqual(asked.call_count, 0)
            self.assertTrue(pattern.matches(b"/a"))
            self.assertIs(pattern.compile(), False)
            self.assertEqual(asked.call_count, 1)
