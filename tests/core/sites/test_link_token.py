"""Tests of subproxy.core.sites.link_token."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.sites.link_token import (
    cookie,
    target_with_token,
    target_without_token,
    tokens_of_cookies,
    tokens_of_target,
    without_cookie,
)

PART = st.text(alphabet="ab=_/%", max_size=8).map(str.encode)
TARGETS = st.builds(
    lambda path, query: b"/" + path + (b"?" + b"&".join(query) if query else b""),
    PART,
    st.lists(PART, max_size=4),
)


class TargetTests(SynchronousTestCase):
    def test_taken_out(self) -> None:
        for target, tokens, rest in (
            (b"/?subproxy_link=a.b", [b"a.b"], b"/"),
            (b"/x?subproxy_link=a&y=1", [b"a"], b"/x?y=1"),
            (b"/x?y=1&subproxy_link=a", [b"a"], b"/x?y=1"),
            (b"/x?y&subproxy_link=a&z&subproxy_link=", [b"a", b""], b"/x?y&z"),
            (b"/subproxy_link=a?b", [], b"/subproxy_link=a?b"),
            (b"/?xsubproxy_link=a", [], b"/?xsubproxy_link=a"),
            (b"/?subproxy_linked=a", [], b"/?subproxy_linked=a"),
            (b"/?&&", [], b"/?&&"),
        ):
            self.assertEqual(
                (tokens_of_target(target), target_without_token(target)), (tokens, rest)
            )

    def test_how_many(self) -> None:
        target = b"/?" + b"&".join([b"subproxy_link=a"] * 50)
        self.assertEqual(len(tokens_of_target(target)), 8)
        self.assertEqual(target_without_token(target), b"/")
        fields = [(b"Cookie", b"; ".join([b"subproxy_link=a"] * 50))]
        self.assertEqual(len(tokens_of_cookies(fields)), 8)
        self.assertEqual(without_cookie(fields), [])

    @given(TARGETS)
    def test_there_and_back(self, target: bytes) -> None:
        token = b"a.b-_"
        there = target_with_token(target, token)
        self.assertEqual(tokens_of_target(there), [token])
        self.assertEqual(target_without_token(there), target.removesuffix(b"?"))


class CookieTests(SynchronousTestCase):
    def test_taken_out(self) -> None:
        """Of every field, however it is spelt; all others stay as they were."""
        for before, tokens, after in (
            ([b"subproxy_link=a.b"], [b"a.b"], []),
            ([b"x=1; subproxy_link=a; y=2"], [b"a"], [b"x=1; y=2"]),
            ([b"x=1;subproxy_link=a;y=2"], [b"a"], [b"x=1; y=2"]),
            ([b"x=1", b"subproxy_link=a", b"y=2"], [b"a"], [b"x=1", b"y=2"]),
            ([b"subproxy_link=a; subproxy_link=b"], [b"a", b"b"], []),
            ([b"xsubproxy_link=a;  z"], [], [b"xsubproxy_link=a;  z"]),
            ([b"x=subproxy_link; y"], [], [b"x=subproxy_link; y"]),
            ([b"x=1; subproxy_link"], [], [b"x=1"]),
            ([b"x=1; subproxy_link =a"], [], [b"x=1"]),
        ):
            for name in b"Cookie", b"cookie", b"COOKIE":
                fields = [(b"Host", b"a"), *((name, value) for value in before)]
                self.assertEqual(tokens_of_cookies(fields), tokens)
                kept = [(b"Host", b"a"), *((name, value) for value in after)]
                self.assertEqual(without_cookie(fields), kept, before)

    def test_nothing_of_ours(self) -> None:
        """Nor in a field whose name is only as long."""
        fields = [(b"Host", b"a"), (b"Cookie", b"a=b"), (b"X", b"subproxy_link=a")]
        fields.append((b"Origin", b"subproxy_link=a"))
        self.assertEqual(tokens_of_cookies(fields), [])
        self.assertIs(without_cookie(fields), fields)

    def test_set(self) -> None:
        name, value = cookie(b"a.b", b"/docs", 60, secure=False)
        self.assertEqual(name, b"Set-Cookie")
        plain = b"subproxy_link=a.b; Path=/docs; Max-Age=60; HttpOnly; SameSite=Lax"
        self.assertEqual(value, plain)
        self.assertEqual(cookie(b"a.b", b"/docs", 60, secure=True)[1], plain + b"; Secure")
