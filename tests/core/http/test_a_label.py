"""Tests of subproxy.core.http.a_label."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.a_label import MAX_LABEL, a_label, advice
from tests.rigs.core_strategies import relaxed


class ALabelTests(SynchronousTestCase):
    def test_labels(self) -> None:
        for label, made in [
            ("bücher", "xn--bcher-kva"),
            ("BÜCHER", "xn--bcher-kva"),
            ("bu\u0308cher", "xn--bcher-kva"),
            ("straße", "xn--strae-oqa"),
            ("例え", "xn--r8jz45g"),
            ("ü" * 64, None),
            ("aü" * 31, None),
        ]:
            self.assertEqual(a_label(label), made)

    def test_the_longest(self) -> None:
        """63 bytes (RFC 1035 section 2.3.4), and not one more."""
        made = {
            len(label): label for label in map(a_label, ("ü" + "a" * n for n in range(63))) if label
        }
        self.assertEqual(max(made), 63)

    def test_advice(self) -> None:
        for source, words in [
            ("bücher\\.example", "for bücher write xn--bcher-kva"),
            (".*\\.blog\\.例え", "for 例え write xn--r8jz45g"),
            ("a.ü{2}.b", "for ü write xn--tda"),
            ("ü" * 300, "as its A-label"),
        ]:
            self.assertIn(words, advice(source.encode()))
        self.assertIn("A-label", advice(b"a\xff"))

    @given(st.text(min_size=1, max_size=80))
    @relaxed
    def test_an_a_label_is_a_label(self, label: str) -> None:
        made = a_label(label)
        if made is not None:
            self.assertTrue(made.isascii())
            self.assertLessEqual(len(made), MAX_LABEL)
