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

    def sizes(self, made: PatternSet[bytes]) -> list[int]:
        return [len(segment.live) for segment in made._segments]

    def test_half_of_a_set_may_be_dead(self) -> None:
        """Of more, what is left waits for the next set."""
        patterns = numbered(20)
        made = filled(patterns)
        made.match(b"")
        for pattern in patterns[:9]:
            made.discard(pattern)
        self.assertEqual((self.sizes(made), len(made._fresh)), ([11], 0))
        made.discard(patterns[9])
        self.assertEqual((self.sizes(made), len(made._fresh)), ([], 10))
        self.assertEqual(made.match(b"a9"), [])
        self.assertEqual(made.match(b"a10"), [b"[a]10"])

    def test_sets_of_similar_size_are_merged(self) -> None:
        """Up to twice as many go along."""
        new = FRESH + 1
        for old, sizes in [(2 * new, [3 * new]), (2 * new + 1, [2 * new + 1, new])]:
            patterns = numbered(old + new)
            made = filled(patterns[:old])
            made.match(b"")
            for pattern in patterns[old:]:
                made.add(pattern, pattern.source)
            made.match(b"")
            self.assertEqual(self.sizes(made), sizes)

    def test_sets_are_merged_as_far_as_their_programs_go(self) -> None:
        new = FRESH + 1
        patterns = [Pattern(b"[a]%03d" % number) for number in range(2 * new)]
        whole = patternset._size(patterns)
        for bound, sizes in [(whole, [2 * new]), (whole - 1, [new, new])]:
            with patch.object(patternset, "SET_PROGRAM", bound):
                made = filled(patterns[:new])
                made.match(b"")
                for pattern in patterns[new:]:
                    made.add(pattern, pattern.source)
                made.match(b"")
                self.assertEqual(self.sizes(made), sizes)

    def test_a_set_is_as_full_as_may_be(self) -> None:
        patterns = [Pattern(b"[a]%03d" % number) for number in range(25)]
        cost = patternset._cost(patterns[0])
        for bound, sizes in [
            (10 * cost, [10, 10, 5]),
            (10 * cost - 1, [9, 9, 7]),
            (1, [1] * 25),
        ]:
            with patch.object(patternset, "SET_PROGRAM", bound):
                made = filled(patterns)
                made.match(b"")
                self.assertEqual(self.sizes(made), sizes)

    def test_the_smallest_set_is_the_last(self) -> None:
        """So that it is the first to be merged."""
        new = FRESH + 1
        long = [Pattern(b"[b]%03d%b" % (number, b"x" * 100)) for number in range(new)]
        with patch.object(patternset, "SET_PROGRAM", patternset._size(long)):
            made = filled(long)
            made.match(b"")
            for pattern in numbered(2 * new):
                made.add(pattern, pattern.source)
            made.match(b"")
            self.assertEqual(self.sizes(made), [2 * new, new])

    def test_a_thousand_fit_into_few_sets(self) -> None:
        """As they are bounded in use."""
        made = filled(numbered(1000))
        self.assertEqual(made.match(b"a999"), [b"[a]999"])
        self.assertEqual(self.sizes(made), [1000])

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
        made.discard(next(pattern for pattern in made._values if pattern.source == b"b.*"))
        self.assertEqual(made.match(b"b" * (MAX_MATCHED + 1)), [])

    def test_case(self) -> None:
        made: PatternSet[int] = PatternSet(ignore_case=True)
        for number in range(20):
            made.add(Pattern(b"[A]%d" % number, ignore_case=True), number)
        self.assertEqual(made.match(b"a3"), [3])
        sensitive = filled([Pattern(b"[A]%d" % number) for number in range(20)])
        self.assertEqual(sensitive.match(b"a3"), [])
        self.assertEqual(sensitive.match(b"A3"), [b"[A]3"])


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
