"""Tests of subproxy.core.patternset."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core import patternset
from subproxy.core.pattern import MAX_MATCHED, Pattern
from subproxy.core.patternset import FRESH, PatternSet
from tests.core_strategies import relaxed


def numbered(count: int) -> list[Pattern]:
    return [Pattern(b"[a]%d" % number) for number in range(count)]


def filled(patterns: list[Pattern]) -> PatternSet[bytes]:
    made: PatternSet[bytes] = PatternSet()
    for pattern in patterns:
        made.add(pattern, pattern.source)
    return made


class PatternSetTests(SynchronousTestCase):
    """`PatternSet`, whatever it has compiled."""

    def test_empty(self) -> None:
        made: PatternSet[int] = PatternSet()
        self.assertEqual((len(made), made.match(b"a")), (0, []))

    def test_nothing_is_compiled_before_a_match_nor_for_a_few(self) -> None:
        with patch.object(patternset, "_compile_set", wraps=patternset._compile_set) as compiled:
            made = filled(numbered(FRESH))
            self.assertEqual(made.match(b"a3"), [b"[a]3"])
            self.assertEqual(compiled.call_count, 0)
            made.add(Pattern(b"[b]"), b"[b]")
            self.assertEqual(compiled.call_count, 0)
            self.assertEqual(made.match(b"a3"), [b"[a]3"])
            self.assertEqual(compiled.call_count, 1)
            self.assertEqual(made.match(b"b"), [b"[b]"])
            self.assertEqual(compiled.call_count, 1)

    def test_a_storm_compiles_each_pattern_a_few_times_only(self) -> None:
        work = 0
        real = patternset._compile_set

        def counting(patterns: list[Pattern], ignore_case: bool) -> object:
            nonlocal work
            work += len(patterns)
            return real(patterns, ignore_case)

        made: PatternSet[int] = PatternSet()
        with patch.object(patternset, "_compile_set", counting):
            for number, pattern in enumerate(numbered(1000)):
                made.add(pattern, number)
                self.assertEqual(made.match(b"a%d" % number), [number])
        self.assertLess(work, 10 * 1000)

    def test_a_wild_pattern_shares_no_set(self) -> None:
        wild = Pattern(b"(a|b)5")
        made = filled([*numbered(50), wild])
        self.assertEqual(sorted(made.match(b"a5")), [b"(a|b)5", b"[a]5"])
        self.assertTrue(all(wild not in segment.live for segment in made._segments))
        made.discard(wild)
        self.assertEqual(made.match(b"a5"), [b"[a]5"])

    def test_what_was_removed_matches_no_more(self) -> None:
        patterns = numbered(100)
        made = filled(patterns)
        made.match(b"")
        for at, pattern in enumerate(patterns):
            self.assertEqual(made.match(b"a%d" % at), [pattern.source])
            made.discard(pattern)
            self.assertEqual(made.match(b"a%d" % at), [])
            self.assertEqual(len(made), 99 - at)

    def test_a_pattern_may_come_back(self) -> None:
        patterns = numbered(40)
        made = filled(patterns)
        made.match(b"")
        made.discard(patterns[7])
        made.add(patterns[7], b"again")
        self.assertEqual(made.match(b"a7"), [b"again"])

    def test_sets_are_bounded(self) -> None:
        patterns = numbered(100)
        with patch.object(patternset, "SET_PROGRAM", 10 * patternset._cost(patterns[-1])):
            made = filled(patterns)
            for at, pattern in enumerate(patterns):
                self.assertEqual(made.match(b"a%d" % at), [pattern.source])
            self.assertGreaterEqual(len(made._segments), 10)
            for segment in made._segments:
                self.assertLessEqual(patternset._size(segment.live), patternset.SET_PROGRAM)

    def test_what_re2_cannot_put_together_is_matched_apart(self) -> None:
        patterns = numbered(40)
        with patch.object(patternset, "SET_MEMORY", 12000):
            made = filled(patterns)
            self.assertEqual(made.match(b"a39"), [b"[a]39"])
            self.assertGreater(len(made._segments), 1)
        with patch.object(patternset, "SET_MEMORY", 10):
            made = filled(patterns)
            self.assertEqual(made.match(b"a39"), [b"[a]39"])
            self.assertEqual(made.match(b"b"), [])
            self.assertEqual(len(made._segments), 40)

    def test_a_long_text_is_matched_by_prefixes_only(self) -> None:
        made = filled([*numbered(20), Pattern(b"b.*"), Pattern(b"[b].*")])
        self.assertEqual(set(made.match(b"b" * MAX_MATCHED)), {b"b.*", b"[b].*"})
        self.assertEqual(made.match(b"b" * (MAX_MATCHED + 1)), [b"b.*"])

    def test_case(self) -> None:
        made: PatternSet[int] = PatternSet(ignore_case=True)
        for number in range(20):
            made.add(Pattern(b"[A]%d" % number, ignore_case=True), number)
        self.assertEqual(made.match(b"a3"), [3])


sources = st.from_regex(rb"\A(a|b|\[ab\]|\.\*|a\?|b\+|\(a\|b\)){1,5}\Z")


class PatternSetMachine(RuleBasedStateMachine):
    """Whatever was added and removed, a match finds what each pattern alone finds."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[Pattern, int] = {}
        self.made: PatternSet[int] = PatternSet()
        self.number = 0

    @rule(source=sources)
    def add(self, source: bytes) -> None:
        pattern = Pattern(source)
        if pattern not in self.model:
            self.number += 1
            self.model[pattern] = self.number
            self.made.add(pattern, self.number)

    @rule(count=st.integers(1, 40))
    def add_many(self, count: int) -> None:
        for _ in range(count):
            self.number += 1
            pattern = Pattern(b"[ab]*%d" % self.number)
            self.model[pattern] = self.number
            self.made.add(pattern, self.number)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), count=st.integers(1, 20))
    def discard(self, data: st.DataObject, count: int) -> None:
        for _ in range(min(count, len(self.model))):
            at = data.draw(st.integers(0, len(self.model) - 1))
            pattern = list(self.model)[at]
            del self.model[pattern]
            self.made.discard(pattern)

    @rule(text=st.binary(max_size=4) | st.from_regex(rb"\A[ab]{0,5}([0-9]{1,2})?\Z"))
    def match(self, text: bytes) -> None:
        expected = sorted(n for pattern, n in self.model.items() if pattern.matches(text))
        assert sorted(self.made.match(text)) == expected

    @invariant()
    def size(self) -> None:
        assert len(self.made) == len(self.model)


PatternSetMachineTests = PatternSetMachine.TestCase
PatternSetMachineTests.settings = settings(relaxed, max_examples=40)


class AgreementTests(SynchronousTestCase):
    """A set agrees with its patterns on any bytes."""

    @given(st.lists(sources, min_size=17, max_size=30, unique=True), st.binary(max_size=5))
    @settings(relaxed, max_examples=40)
    def test_any_text(self, texts: list[bytes], text: bytes) -> None:
        patterns = list({Pattern(source) for source in texts})
        self.assertEqual(
            sorted(filled(patterns).match(text)),
            sorted(pattern.source for pattern in patterns if pattern.matches(text)),
        )
