"""Tests of subproxy.core.sites.redirect."""

from __future__ import annotations

from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.fields import TARGET
from subproxy.core.http.request import RequestHead
from subproxy.core.sites.redirect import STATUSES, RedirectError, redirect


def head(
    target: bytes = b"/a?b", scheme: bytes = b"http", host: bytes = b"a.example"
) -> RequestHead:
    return RequestHead(b"GET", target, host, target.partition(b"?")[0], [], scheme=scheme)


class RedirectTests(SynchronousTestCase):
    def test_what_stands_in_the_holes(self) -> None:
        for to, location in (
            ("https://b.example{uri}", b"https://b.example/a?b"),
            ("https://b.example{path}", b"https://b.example/a"),
            ("https://{host}{uri}", b"https://a.example/a?b"),
            ("{scheme}://b.example:81/x{uri}", b"http://b.example:81/x/a?b"),
            ("https://b.example/login?next={path}", b"https://b.example/login?next=/a"),
            ("https://b.example/#top", b"https://b.example/#top"),
            ("https://[2001:db8::1]/", b"https://[2001:db8::1]/"),
            ("/new{uri}", b"/new/a?b"),
            ("/new", b"/new"),
            ("/X{uri}", b"/X/a?b"),
        ):
            self.assertEqual(redirect(to, 308).location(head()), location)
        self.assertTrue(redirect("https://{host}/", 308).needs_host)
        self.assertFalse(redirect("https://a/", 308).needs_host)

    def test_statuses(self) -> None:
        """RFC 9110 section 15.4: those that name another place."""
        self.assertEqual(STATUSES, (301, 302, 303, 307, 308))

    def test_to_itself_is_no_redirect(self) -> None:
        """So that one to https ends when https is what was asked for."""
        to = redirect("https://{host}{uri}", 308)
        self.assertEqual(to.location(head()), b"https://a.example/a?b")
        self.assertIsNone(to.location(head(scheme=b"https")))
        self.assertIsNone(redirect("/new", 308).location(head(b"/new")))

    def test_what_is_none(self) -> None:
        for to in (
            *("", "b.example", "ftp://b.example/", "https://", "https:///x", "//b.example/"),
            *("/", "https://a b/", "https://ä/", "https://a/\r\nX: y", "https://a/<", "/\\b"),
            *("https://a@b/", "https://a:b/", "https://{path}", "https://a{host}/"),
            *("https://a{uri}b/", "https://a.{host}/", "https://a/{nothing}", "https://a/{"),
        ):
            self.assertRaises(RedirectError, redirect, to, 308)
        said = str(self.assertRaises(RedirectError, redirect, "https://a{ur}", 308))
        self.assertIn("did you mean {uri}?", said)

    def test_a_client_cannot_turn_it(self) -> None:
        """A path that begins with two slashes would name a host."""
        for to in "{uri}", "{path}", "/{uri}", "/x/{path}", "https://a/{uri}":
            self.assertRaises(RedirectError, redirect, to, 308)

    @given(st.text(st.sampled_from(list(map(chr, TARGET))), max_size=20))
    def test_whatever_is_asked_for(self, tail: str) -> None:
        asked = head(b"/" + tail.encode())
        found = redirect("https://b.example{uri}", 308).location(asked)
        assert found is not None
        self.assertEqual(urlsplit(found).netloc, b"b.example")
        found = redirect("/new{uri}", 308).location(asked)
        assert found is not None
        self.assertFalse(found.startswith(b"//"))
