"""Tests of subproxy.core.sites.strip_prefix."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.normalise import normalise_path, path_fault
from subproxy.core.http.request import RequestHead
from subproxy.core.sites.strip_prefix import with_prefix, without_prefix


def stripped(target: bytes, prefix: bytes = b"/api") -> bytes | None:
    path = normalise_path(target.partition(b"?")[0])
    return without_prefix(RequestHead(b"GET", target, b"a", path, []), prefix)


class StripPrefixTests(SynchronousTestCase):
    def test_plain(self) -> None:
        for target, rest in (
            (b"/api/x", b"/x"),
            (b"/api", b"/"),
            (b"/api/", b"/"),
            (b"/api?a=/b", b"/?a=/b"),
            (b"/api/x?", b"/x?"),
            (b"/api/api/x", b"/api/x"),
            (b"/api/%2F%c3%a4|", b"/%2F%c3%a4|"),
            (b"/apis", None),
            (b"/", None),
            (b"/x/api", None),
        ):
            self.assertEqual(stripped(target), rest, target)

    def test_whatever_way_it_is_written(self) -> None:
        """What counts is what the path means: neither is a prefix hidden, nor one invented."""
        for target, rest in (
            (b"/%61pi/x", b"/x"),
            (b"//api/x", b"/x"),
            (b"/a/../api/x?q", b"/x?q"),
            (b"/api/../admin", None),
            (b"/api/%2e%2e/admin", None),
            (b"/api/../api/x", b"/x"),
            (b"/api//evil.example/x", b"/evil.example/x"),
            (b"/api///X/x", b"/X/x"),
            (b"/api/a//b", b"/a//b"),
        ):
            self.assertEqual(stripped(target), rest, target)

    def test_signs_that_are_longer_in_normal_form(self) -> None:
        """No dots are left that the path did not have behind its prefix."""
        for target, prefix, rest in (
            (b"/{/x/../y", b"/%7B", b"/y"),
            (b"/[]/y/z/../../etc", b"/%5B%5D", b"/etc"),
            (b"/%7B/x/../y", b"/%7B", b"/x/../y"),
        ):
            self.assertEqual(stripped(target, prefix), rest, target)

    @given(st.text("/.%2e ap?x", max_size=20))
    def test_what_is_left_means_the_same(self, text: str) -> None:
        target = b"/" + text.replace(" ", "i").encode()
        if path_fault(target.partition(b"?")[0]) is not None:
            return
        path = normalise_path(target.partition(b"?")[0])
        rest = stripped(target)
        below = path == b"/api" or path.startswith(b"/api/")
        self.assertEqual(rest is not None, below)
        if rest is not None:
            left, _, query = rest.partition(b"?")
            self.assertEqual(normalise_path(left), path[4:] or b"/")
            self.assertFalse(left.startswith(b"//"))
            self.assertEqual(query, target.partition(b"?")[2])

    def test_the_field(self) -> None:
        self.assertEqual(
            with_prefix([(b"A", b"b")], b"/x"), [(b"A", b"b"), (b"X-Forwarded-Prefix", b"/x")]
        )
        told = [(b"x-forwarded-prefix", b"/beforeX//"), (b"A", b"b")]
        self.assertEqual(
            with_prefix(told, b"/x"), [(b"A", b"b"), (b"X-Forwarded-Prefix", b"/beforeX/x")]
        )
