"""Untrusted text as a person may see it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.printable import printable

PLAIN = {chr(code) for code in range(0x20, 0x7F)}
ANY = st.one_of(st.binary(), st.text(st.characters(exclude_categories=[])))


class PrintableTests(SynchronousTestCase):
    def test_examples(self) -> None:
        """Escapes by the kind of character; patterns can be read."""
        for text, shown in (
            (b"", ""),
            ("", ""),
            (b"web", "web"),
            (rb"a\.example /.*", r"a\.example /.*"),
            (b"\x1b[31mred\r\n\0\x7f", r"\x1b[31mred\x0d\x0a\x00\x7f"),
            (b" ~\x7f", r" ~\x7f"),
            (b"\xc3\xbc", r"\xc3\xbc"),
            ("\xfc", r"\xfc"),
            ("\x9b0m", r"\x9b0m"),
            ("\u202egnp", r"\u202egnp"),
            ("\xff\u0100", r"\xff\u0100"),
            ("\uffff\U00010000", r"\uffff\U00010000"),
            ("\U0001f600", r"\U0001f600"),
            ("\udc80", r"\udc80"),
            ("a\u2028b", r"a\u2028b"),
        ):
            self.assertEqual(printable(text), shown)

    @given(ANY)
    def test_always_printable(self, text: bytes | str) -> None:
        """Nothing but printable ASCII comes out, and what is printable stays as it is."""
        shown = printable(text)
        self.assertLessEqual(set(shown), PLAIN)
        self.assertEqual(printable(shown), shown)

    @given(st.binary(max_size=4), st.binary(max_size=4))
    def test_unambiguous(self, one: bytes, other: bytes) -> None:
        """Different names never look alike."""
        shown = printable(one, unambiguous=True), printable(other, unambiguous=True)
        self.assertEqual(shown[0] == shown[1], one == other)
        self.assertLessEqual(set(shown[0]), PLAIN)

    def test_a_backslash_tells_apart(self) -> None:
        """A control character, and somebody who writes its escape."""
        self.assertEqual(printable(b"\x1b"), printable(rb"\x1b"))
        self.assertEqual(printable(rb"\x1b", unambiguous=True), r"\\x1b")
