"""Tests of subproxy.core.http.normalise."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.normalise import normalise_host, normalise_path, path_fault
from tests.rigs.core_strategies import relaxed

#: Bytes that reach every branch far more often than random bytes do.
pathish = st.lists(
    st.sampled_from(
        [
            b"/",
            b"//",
            b".",
            b"..",
            b"%2e",
            b"%2F",
            b"%",
            b"%4",
            b"%41",
            b"%00",
            b"a",
            b"?",
            b"#",
            b"\xff",
            b" ",
            b"\x00",
            b"%c3%A9",
            b"~",
        ]
    ),
    max_size=12,
).map(b"".join)


class HostTests(SynchronousTestCase):
    """C{normalise_host}."""

    def test_examples(self) -> None:
        for host, normal in [
            (b"blog.example", b"blog.example"),
            (b"Blog.EXAMPLE", b"blog.example"),
            (b"blog.example:8080", b"blog.example"),
            (b"blog.example.", b"blog.example"),
            (b"blog.example.:80", b"blog.example"),
            (b"blog.example:", b"blog.example"),
            (b"[::1]", b"[::1]"),
            (b"[2001:DB8::1]:80", b"[2001:db8::1]"),
            (b"[::1", b"[::1"),
            (b"[ABC", b"[abc"),
            (b"a:1:2", b"a"),
            (b":80", b""),
            (b"aX..", b"ax"),
            (b"", b""),
            (b".", b""),
        ]:
            self.assertEqual(normalise_host(host), normal, host)

    @given(st.binary(max_size=40) | st.text(alphabet="aA.:[]1", max_size=12).map(str.encode))
    @relaxed
    def test_it_is_idempotent(self, host: bytes) -> None:
        once = normalise_host(host)
        self.assertEqual(normalise_host(once), once)


class PathTests(SynchronousTestCase):
    """C{normalise_path} and C{path_fault}."""

    def test_examples(self) -> None:
        for path, normal in [
            (b"/", b"/"),
            (b"/a/b", b"/a/b"),
            (b"/%41%2d%2E%5f%7e", b"/A-._~"),
            (b"/a%2fb", b"/a%2Fb"),
            (b"/a%5cb", b"/a%5Cb"),
            (b"/a%3bb;c", b"/a%3Bb;c"),
            (b"/%zz%", b"/%25zz%25"),
            (b"/%4", b"/%254"),
            (b"/caf\xc3\xa9", b"/caf%C3%A9"),
            (b"/a b\\", b"/a%20b%5C"),
            (b"/a?b=/../c", b"/a"),
            (b"/a#b", b"/a"),
            (b"//a///b//", b"/a/b/"),
            (b"/a/./b", b"/a/b"),
            (b"/a/../b", b"/b"),
            (b"/a/b/..", b"/a/"),
            (b"/a/b/.", b"/a/b/"),
            (b"/..", b"/"),
            (b"/../../a", b"/a"),
            (b"/a//../b", b"/b"),
            (b"/%2e%2e/a", b"/a"),
            (b"/public/%2E%2E/admin", b"/admin"),
            (b"/public/..%2Fadmin", b"/public/..%2Fadmin"),
            (b"/.hidden", b"/.hidden"),
            (b"/...", b"/..."),
            (b"/a/..b", b"/a/..b"),
            (b"*", b"*"),
            (b"a/../b", b"a/../b"),
            (b"a//b/", b"a/b/"),
            (b"//", b"/"),
            (b"", b""),
            (b"?x/../y", b""),
        ]:
            self.assertEqual(normalise_path(path), normal, path)

    def test_what_is_normal_is_returned_itself(self) -> None:
        path = b"/static/app.js;v=1"
        self.assertIs(normalise_path(path), path)

    @given(pathish | st.binary(max_size=60))
    @relaxed
    def test_it_is_idempotent(self, path: bytes) -> None:
        once = normalise_path(path)
        self.assertEqual(normalise_path(once), once)

    @given(pathish | st.binary(max_size=60))
    @relaxed
    def test_an_absolute_path_stays_absolute_and_has_no_dots_or_doubled_slashes(
        self, path: bytes
    ) -> None:
        normal = normalise_path(b"/" + path)
        self.assertTrue(normal.startswith(b"/"))
        self.assertNotIn(b"//", normal)
        self.assertFalse({b".", b".."} & set(normal.split(b"/")))
        self.assertTrue(all(0x21 <= byte < 0x7F for byte in normal))

    @given(pathish)
    @relaxed
    def test_separators_are_never_made_by_decoding(self, path: bytes) -> None:
        before = (b"/" + path).partition(b"?")[0].partition(b"#")[0]
        self.assertLessEqual(normalise_path(b"/" + path).count(b"/"), before.count(b"/") + 1)

    def test_faults(self) -> None:
        for path, fault in [
            (b"*", "slash"),
            (b"", "slash"),
            (b"?/", "slash"),
            (b"a/b", "slash"),
            (b"/a%00", "NUL"),
            (b"/admin//../x", "read in two ways"),
            (b"/admin//..", "read in two ways"),
            (b"/a/.//../x", "read in two ways"),
            (b"/admin//%2e%2E/x", "read in two ways"),
            (b"/admin/%2F../x", "read in two ways"),
            (b"/admin%2f%5c../x", "read in two ways"),
            (b"/%", "two hexadecimal"),
            (b"/%4", "two hexadecimal"),
            (b"/%4g", "two hexadecimal"),
            (b"/%g4", "two hexadecimal"),
            (b"/%X4", "two hexadecimal"),
            (b"/a\x00", "control"),
            (b"/a\x1f", "control"),
            (b"/a\x7f", "control"),
        ]:
            self.assertIn(fault, path_fault(path) or "", path)

    @given(
        st.lists(st.sampled_from([b"a", b"b", b"", b".", b"..", b".%2E", b"%2e%2e"]), max_size=8)
    )
    @relaxed
    def test_it_means_the_same_to_who_merges_no_slashes(self, segments: list[bytes]) -> None:
        """RFC 3986 section 5.2.4 alone, as C{URL} of browsers and of Node: or it has a fault."""
        path = b"/" + b"/".join(segments)
        if path_fault(path) is not None:
            self.assertIn(b"//", path)
            return
        kept: list[bytes] = []
        for segment in segments:
            name = segment.lower().replace(b"%2e", b".")
            if name == b"..":
                del kept[-1:]
            elif name != b".":
                kept.append(segment)
        ours = [each for each in normalise_path(path).split(b"/") if each]
        self.assertEqual(ours, [each for each in kept if each])

    def test_no_faults(self) -> None:
        for path in b"/a//b", b"//a//b/..", b"/a/..//b", b"/a//./b", b"/..//", b"/a//..b":
            self.assertIsNone(path_fault(path), path)
        for path in (b"/", b"/a b", b"/%2F", b"/%01", b"/%ff\xff", b"/a?%00", b"/a#%", b"/%0a%a0"):
            self.assertIsNone(path_fault(path), path)
