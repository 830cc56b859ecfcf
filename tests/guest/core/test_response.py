"""Tests for L{guest.core.response}."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest.core.response import Response, checked_fields


class CheckTests(SynchronousTestCase):
    """What can be sent, and what can not."""

    def test_the_least(self) -> None:
        response = Response()
        self.assertEqual((response.status, response.headers, response.body), (200, [], b""))
        self.assertIsNone(response.checked())

    def test_a_length(self) -> None:
        self.assertEqual(Response(200, [(b"Content-LENGTH", b"12")]).checked(), 12)

    def test_statuses(self) -> None:
        for status in (200, 299, 404, 599):
            Response(status).checked()
        bad: Any
        for bad in (100, 199, 600, 999, 1000, 0, -1, "200", 200.0, True, None):
            self.assertRaises(ValueError, Response(bad).checked)

    def test_fields_that_are_not_bytes(self) -> None:
        bad: Any
        for bad in [("a", b"b")], [(b"a", "b")], [(b"a", 1)], [(b"a", None)]:
            self.assertRaises(TypeError, Response(200, bad).checked)

    def test_fields_that_are_no_pairs(self) -> None:
        """They are told as they are: "too many values to unpack" helps nobody."""
        bad: Any
        for bad in (["content-type: a"], [b"abc"], [(b"a", b"b", b"c")], [1], b"abc", "abc"):
            error = self.assertRaises(TypeError, Response(200, bad).checked)
            self.assertIn("fields are pairs of name and value", str(error))

    def test_a_dictionary(self) -> None:
        """Applications of other frameworks give one; what is in it must be bytes all the same."""
        response = Response(200, {b"content-type": b"text/plain"}, b"", {b"digest": b"x"})
        self.assertEqual(response.headers, [(b"content-type", b"text/plain")])
        self.assertEqual(response.final_trailers(), [(b"digest", b"x")])
        self.assertIsNone(response.checked())
        later = Response(200, trailers=lambda: {b"digest": b"y"})
        self.assertEqual(later.final_trailers(), [(b"digest", b"y")])
        bad: Any = {"content-type": "text/plain"}
        error = self.assertRaises(TypeError, Response(200, bad).checked)
        self.assertIn("are bytes: 'content-type', 'text/plain'", str(error))

    def test_fields_that_http_does_not_allow(self) -> None:
        for name, value in (
            (b"", b"x"),
            (b"a b", b"x"),
            (b"a:", b"x"),
            (b"a\n", b"x"),
            (b"\xe4", b"x"),
            (b"a", b"x\ny"),
            (b"a", b"x\r"),
            (b"a", b"\0"),
            (b"content-length", b"1a"),
            (b"content-length", b"-1"),
            (b"content-length", b""),
            (b"content-length", b"9" * 19),
        ):
            self.assertRaises(ValueError, Response(200, [(name, value)]).checked)

    def test_two_lengths(self) -> None:
        twice = [(b"content-length", b"1"), (b"Content-Length", b"1")]
        self.assertRaises(ValueError, Response(200, twice).checked)

    def test_too_many_fields(self) -> None:
        checked_fields([(b"a", b"")] * 128)
        self.assertRaises(ValueError, checked_fields, [(b"a", b"")] * 129)

    def test_too_long_fields(self) -> None:
        checked_fields([(b"a", bytes(65_535).replace(b"\0", b"x"))])
        self.assertRaises(ValueError, checked_fields, [(b"a", b"x" * 65_536)])

    def test_a_reason_is_one_line(self) -> None:
        Response(200, reason=b"Fine").checked()
        self.assertRaises(ValueError, Response(200, reason=b"a\r\nb").checked)

    @given(st.binary(max_size=20), st.binary(max_size=20))
    def test_what_passes_cannot_split_a_head(self, name: bytes, value: bytes) -> None:
        try:
            checked_fields([(name, value)])
        except ValueError:
            return
        line = name + b": " + value
        self.assertEqual(len(line.splitlines()), len(line.replace(b"\r", b"").splitlines()))
        self.assertNotIn(b"\n", line)
        self.assertNotIn(b":", name)


class TrailerTests(SynchronousTestCase):
    """Trailers come after the body."""

    def test_pairs(self) -> None:
        self.assertEqual(Response(trailers=((b"a", b"b"),)).final_trailers(), [(b"a", b"b")])

    def test_a_function(self) -> None:
        self.assertEqual(Response(trailers=lambda: [(b"a", b"b")]).final_trailers(), [(b"a", b"b")])

    def test_they_are_checked(self) -> None:
        self.assertRaises(ValueError, Response(trailers=[(b"a b", b"")]).final_trailers)


class BodilessTests(SynchronousTestCase):
    """Where HTTP has no place for a body."""

    def test_bodiless(self) -> None:
        self.assertTrue(Response(200).bodiless(b"HEAD"))
        self.assertFalse(Response(200).bodiless(b"GET"))
        self.assertTrue(Response(204).bodiless(b"GET"))
        self.assertTrue(Response(205).bodiless(b"GET"))
        self.assertTrue(Response(304).bodiless(b"GET"))

    def test_text(self) -> None:
        self.assertEqual(repr(Response(404)), "<Response 404>")
