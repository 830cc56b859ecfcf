"""Tests of subproxy.core.routing.simple_pattern."""

from __future__ import annotations

import re2
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.routing.pattern import options
from subproxy.core.routing.simple_pattern import Item, fold, is_simple, parse
from tests.rigs.core_strategies import relaxed
from tests.rigs.examples import examples

atoms = st.sampled_from(
    [
        b"a",
        b"b",
        b"A",
        b"-",
        b".",
        rb"\.",
        rb"\d",
        rb"\W",
        rb"\s",
        b"[ab]",
        b"[^a]",
        b"[a-c]",
        b"[a-]",
        rb"[\w-]",
        rb"[\]a]",
        rb"[^\d.]",
        rb"[a-z0-9_.-]",
        b"\xe9",
        rb"\-",
        b"[B]",
    ]
)
repeats = st.sampled_from([b"", b"", b"", b"*", b"+", b"?"])
sequences = st.lists(st.tuples(atoms, repeats).map(b"".join), min_size=1, max_size=7).map(b"".join)


def states(items: list[Item]) -> int:
    """Count the states of the automaton of C{items} that a DFA would have to make."""
    optional = (0x2A, 0x3F)
    follow: list[set[int]] = []
    for at in range(-1, len(items)):
        after = {at} if at >= 0 and items[at][1] in (0x2A, 0x2B) else set()
        for other in range(at + 1, len(items)):
            after.add(other)
            if items[other][1] not in optional:
                break
        follow.append(after)
    # One byte for each class of bytes that no item tells apart is enough.
    classes: dict[tuple[bool, ...], int] = {}
    for byte in range(256):
        classes.setdefault(tuple(bool(mask >> byte & 1) for mask, _ in items), byte)
    start = frozenset({-1})
    seen = {start}
    todo = [start]
    while todo and len(seen) < 10_000:
        state = todo.pop()
        for byte in classes.values():
            after = frozenset(
                other for at in state for other in follow[at + 1] if items[other][0] >> byte & 1
            )
            if after not in seen:
                seen.add(after)
                todo.append(after)
    return len(seen)


class TameTests(SynchronousTestCase):
    """C{is_simple}."""

    def test_tame(self) -> None:
        for source in [
            rb"blog\.example",
            rb".*",
            rb"^.*$",
            rb".*\.blog\.example",
            rb"[a-z0-9-]+\.example",
            rb"/users/[0-9]+",
            rb"/users/\d+/posts/[a-z-]+/?",
            rb"/img/.*\.png",
            rb"/v[12]/[^/]+/[^/]*",
            rb"/a?b",
            rb"/[ab][ab][ab]",
            rb"[a]+ab",
            rb"[a-a]",
            rb"[a-cx-z]",
            rb"[xX]",
        ]:
            self.assertTrue(is_simple(source), source)

    def test_not_tame(self) -> None:
        for source in [
            rb".*a.",
            rb".*a.....",
            rb".*[ab][ab]",
            rb".*[Aa]x",
            rb".*a.*b",
            rb".*a?",
            rb"[a-z]+[0-9a]+",
            rb"a?a",
            rb"a?b?a",
            rb"a*b*a",
            rb".*ab+",
            rb"(a)",
            rb"a|b",
            rb"a{2}",
            rb"a**",
            rb"[[:alpha:]]",
            rb"[]a]",
            rb"[^]a]",
            rb"[a^]",
            rb"[-a]",
            rb"[a-\d]",
            rb"[!-\.]",
            rb"[\d-a]",
            rb"[b-a]",
            rb"[a-c-e]",
            rb"[a-",
            rb"[a",
            rb"[",
            rb"[a\pL]",
            rb"\pL",
            rb"\bx",
            b"\\",
            b"\\\xe9",
            b"\\\x80",
            rb"a$b",
        ]:
            self.assertFalse(is_simple(source), source)

    def test_a_letter_is_folded_to_both_of_its_cases(self) -> None:
        """And nothing else to anything: RE2 folds ASCII so in hosts."""
        for byte in range(256):
            one = bytes((byte,))
            cases = {one[0], one.lower()[0], one.upper()[0]}
            self.assertEqual(fold(1 << byte), sum(1 << each for each in cases), one)

    def test_case_makes_characters_meet(self) -> None:
        self.assertTrue(is_simple(rb"[a-z]*X"))
        self.assertTrue(is_simple(rb"[a-z]*X[0-9]"))
        self.assertFalse(is_simple(rb"[a-z]*X[0-9]", ignore_case=True))
        self.assertFalse(is_simple(rb"[A-Z]*x[0-9]", ignore_case=True))
        self.assertTrue(is_simple(rb"[a-z]*-[0-9]", ignore_case=True))
        self.assertTrue(is_simple(rb"[@\[]+`x", ignore_case=True))
        self.assertTrue(is_simple(rb"[a-z]*x", ignore_case=True))
        self.assertTrue(is_simple(rb".*[Aa]x", ignore_case=True))

    @given(sequences)
    @settings(relaxed, max_examples=examples(300))
    def test_what_is_parsed_is_what_re2_matches(self, source: bytes) -> None:
        items = parse(source)
        if items is None:
            return
        compiled = re2.compile(source, options(ignore_case=False))
        if len(items) == 1:
            for byte in range(256):
                matches = compiled.fullmatch(bytes((byte,))) is not None
                self.assertEqual(matches, bool(items[0][0] >> byte & 1), (source, byte))
        shortest = b"".join(
            bytes(((mask & -mask).bit_length() - 1,))
            for mask, repeat in items
            if repeat in (0, 0x2B)
        )
        self.assertIsNotNone(compiled.fullmatch(shortest))

    @given(atoms)
    @relaxed
    def test_each_atom(self, source: bytes) -> None:
        items = parse(source)
        assert items is not None
        ((mask, repeat),) = items
        self.assertEqual(repeat, 0)
        compiled = re2.compile(source, options(ignore_case=False))
        for byte in range(256):
            matches = compiled.fullmatch(bytes((byte,))) is not None
            self.assertEqual(matches, bool(mask >> byte & 1), byte)

    @given(sequences, st.booleans())
    @settings(relaxed, max_examples=examples(300))
    def test_a_tame_pattern_has_few_states(self, source: bytes, ignore_case: bool) -> None:
        items = parse(source)
        if items is not None and is_simple(source, ignore_case=ignore_case):
            self.assertLessEqual(states(items), 2 * len(items) + 3)

    def test_a_wild_one_may_have_many(self) -> None:
        items = parse(b".*a" + b"." * 10)
        assert items is not None
        self.assertGreater(states(items), 1000)
