"""Tests of subproxy.core.routing.simple_matcher: it matches what RE2 matches."""

from __future__ import annotations

from itertools import product

import re2
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.routing.pattern import Pattern, RouteRefused, options
from subproxy.core.routing.simple_matcher import LOOK, MAX_STEPS, SimpleMatcher
from subproxy.core.routing.simple_pattern import parse, search
from tests.core.routing.test_simple_pattern import sequences
from tests.rigs.core_strategies import relaxed
from tests.rigs.examples import examples

texts = st.lists(
    st.sampled_from([b"a", b"b", b"A", b"B", b"-", b".", b"0", b"c", b"]", b"\xe9", b"\n"]),
    max_size=9,
).map(b"".join)


def matcher(source: bytes, *, ignore_case: bool = False) -> SimpleMatcher | None:
    items = parse(source, ignore_case=ignore_case)
    word = None if items is None else search(items, ignore_case)
    if items is None or word is None:
        return None
    return SimpleMatcher(items, word, ignore_case=ignore_case, limit=1024)


class SimpleMatcherTests(SynchronousTestCase):
    """C{SimpleMatcher}."""

    @given(sequences, texts, st.booleans())
    @settings(relaxed, max_examples=examples(1000))
    def test_it_matches_what_re2_matches(
        self, source: bytes, text: bytes, ignore_case: bool
    ) -> None:
        matches = matcher(source, ignore_case=ignore_case)
        if matches is None:
            return
        if ignore_case:
            text = text.lower()
            if not text.isascii():
                return
        expected = re2.compile(source, options(ignore_case=ignore_case)).fullmatch(text)
        self.assertEqual(matches(text), expected is not None)
        if expected:
            self.assertTrue(text.endswith(matches.tail))

    def test_every_short_text(self) -> None:
        """Also one that ends, or goes wrong, where a run has to begin."""
        letters = (b"a", b"b", b"x")
        every = [b"".join(each) for size in range(5) for each in product(letters, repeat=size)]
        for source in (
            *(b"[^x]+", b"[^x]*", b"[^x]?", b"[^x]", b"[ab]+", b"[ab]*", b"[ab]?", b"a[^x]+"),
            *(b"[^bx]+x", b"x?[ab]", b"x?[ab]+x", b"a?b?x?", b"[ab]*x[ab]*", b".+", b".*x", b".+x"),
            *(b"[ab]+ab", b"[ab]*ab", b"a[^x]*ab", b"x.+", b"x.*b", b"x.+b"),
        ):
            matches = matcher(source)
            assert matches is not None
            compiled = re2.compile(source, options(ignore_case=False))
            found = [text for text in every if matches(text)]
            expected = [text for text in every if compiled.fullmatch(text) is not None]
            self.assertEqual(found, expected, source)

    def test_runs_of_every_length(self) -> None:
        """A run is looked at in pieces."""
        for source in (b"[a-c]*", b"[a-c]+x", b"[^x]*x", b"x[a-c]+[d-f]*", b".*ab", b".+ab"):
            matches = matcher(source)
            assert matches is not None
            compiled = re2.compile(source, options(ignore_case=False))
            for size in (0, 1, 2, 126, 127, 128, 129, 255, 256, 257, 1000):
                for text in (b"a" * size, b"a" * size + b"x", b"x" + b"b" * size + b"def"):
                    for each in (text, text + b"ab"):
                        expected = compiled.fullmatch(each) is not None
                        self.assertEqual(matches(each), expected, (source, each))

    def test_cost(self) -> None:
        """Of each step, of each run, and once of all bytes where a run looks at each of them."""
        for source, steps, runs, looks in [
            (b"ab", 1, 0, False),
            (b"a[bc]d", 3, 0, False),
            (b"a?b", 2, 0, False),
            (b".*ab", 0, 1, False),
            (b"[^x]*x[^y]*y", 4, 2, False),
            # Two characters are looked for by themselves, three are not.
            (b"[^xy]*x", 2, 1, False),
            (b"[^xyz]*x", 2, 1, True),
            (b"x[a-c]+[d-f]*", 3, 2, True),
            (b"[a-c]+x[^y]*y", 4, 2, True),
            # A search for a word, which looks at each byte itself, or behind a run that does.
            (b"x[a-c]*b", 1, 1, True),
            (b"x[a-c]+-.*ab", 3, 2, True),
        ]:
            matches = matcher(source)
            assert matches is not None
            self.assertEqual(matches.steps, steps, source)
            expected = 250 * (2 + steps) + 500 * runs + 4 * 1024 * looks
            self.assertEqual(matches.cost, expected, source)

    def test_letters_of_both_cases_are_literal(self) -> None:
        """Where case is ignored texts are in lower case: they take one step together."""
        matches = matcher(b"AaMmZz[0-9]", ignore_case=True)
        assert matches is not None
        self.assertEqual(matches.steps, 2)
        self.assertTrue(matches(b"aammzz7"))

    def test_how_a_pattern_ends(self) -> None:
        for source, tail in [
            (rb".*\.blog\.example", b".blog.example"),
            (rb"[a-z]+\.Example", b".Example"),
            (rb"a[bc]", b""),
            (rb"[ab]+", b""),
            (rb".*aab", b"aab"),
        ]:
            matches = matcher(source)
            assert matches is not None
            self.assertEqual(matches.tail, tail, source)
        matches = matcher(rb"[a-z]+\.EXAMPLE", ignore_case=True)
        assert matches is not None
        self.assertEqual(matches.tail, b".example")

    def test_the_steps_of_a_pattern_are_bounded(self) -> None:
        self.assertTrue(Pattern(b"/a[bc]" * (MAX_STEPS // 2)).simple)
        with self.assertRaises(RouteRefused) as caught:
            Pattern(b"/a[bc]" * (MAX_STEPS // 2) + b"[bc]")
        self.assertIn(f"{MAX_STEPS + 1} steps", caught.exception.reason)

    def test_costs(self) -> None:
        """They grow with the steps, and with the text where each byte is looked at."""
        few, more, look = (matcher(each) for each in (b"[ab]", b"[ab]" * 50, b"[a-z]*"))
        assert few is not None
        assert more is not None
        assert look is not None
        self.assertGreater(more.cost, 10 * few.cost)
        self.assertGreaterEqual(look.cost, LOOK * 1024)
