"""The cookie of a browser in which the token was typed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.admin.cookie import LIFETIME, SignedCookie

NOW = 1_800_000_000.0


class SignedCookieTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cookie = SignedCookie(b"0123456789abcdef")
        self.pair = self.cookie.issue(NOW, secure=False).partition(b";")[0]

    def test_its_field(self) -> None:
        """No script reads it, no other site sends it, and the token is not in it."""
        field = self.cookie.issue(NOW, secure=False)
        attributes = field.split(b"; ")[1:]
        self.assertEqual(attributes, [b"Path=/", b"Max-Age=43200", b"HttpOnly", b"SameSite=Strict"])
        self.assertNotIn(b"0123456789abcdef", field)
        self.assertTrue(self.cookie.issue(NOW, secure=True).endswith(b"; Secure"))
        self.assertIn(b"=; Path=/; Max-Age=0;", self.cookie.withdraw(secure=False))

    def test_it_holds(self) -> None:
        """Until it ends, among others or alone."""
        for fields in ([self.pair], [b"a=b; " + self.pair + b";c"], [b"a", self.pair]):
            self.assertTrue(self.cookie.holds(fields, NOW))
        self.assertTrue(self.cookie.holds([self.pair], NOW + LIFETIME - 1))
        self.assertFalse(self.cookie.holds([self.pair], NOW + LIFETIME))
        self.assertFalse(self.cookie.holds([], NOW))

    def test_another_token(self) -> None:
        """It ends all cookies, and has a name of its own."""
        other = SignedCookie(b"0123456789abcdeg")
        self.assertNotEqual(other.name, self.cookie.name)
        forged = other.name + b"=" + self.pair.partition(b"=")[2]
        self.assertFalse(other.holds([forged, self.pair], NOW))

    @given(st.integers(0, 90), st.integers(1, 255))
    def test_one_changed_byte(self, at: int, flip: int) -> None:
        """It is another cookie."""
        pair = bytearray(self.pair)
        at %= len(pair)
        pair[at] ^= flip
        self.assertFalse(self.cookie.holds([bytes(pair)], NOW) and bytes(pair).strip() != self.pair)

    @given(st.binary(max_size=80))
    def test_any_bytes(self, value: bytes) -> None:
        """Nothing raises, and nothing holds."""
        self.assertFalse(self.cookie.holds([value, self.cookie.name + b"=" + value], NOW))
