"""What a guest may say."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.fields import (
    MAX_LENGTH,
    MAX_REASON,
    MAX_RESPONSE_FIELDS,
    MAX_RESPONSE_HEAD,
)
from subproxy.core.http.response import check_interim, check_response, check_trailers
from subproxy.errors import GuestMisbehaved

Headers = list[tuple[bytes, bytes]]


class CheckResponseTests(SynchronousTestCase):
    def refused(
        self, headers: Headers | None = None, status: int = 200, reason: bytes = b"", text: str = ""
    ) -> None:
        error = self.assertRaises(
            GuestMisbehaved, check_response, b"GET", status, reason, headers or []
        )
        self.assertIn(text, str(error))

    def test_a_plain_response_passes_unchanged(self) -> None:
        headers = [(b"Content-Type", b"text/plain"), (b"Set-Cookie", b"a=b"), (b"X", b"")]
        head = check_response(b"GET", 200, b"Fine", headers)
        self.assertEqual((head.status, head.reason, head.headers), (200, b"Fine", headers))
        self.assertEqual((head.length, head.bodiless), (None, False))

    def test_content_length_is_taken_out_and_remembered(self) -> None:
        head = check_response(b"GET", 200, b"", [(b"content-LENGTH", b" 7 "), (b"A", b"b")])
        self.assertEqual((head.length, head.headers), (7, [(b"A", b"b")]))
        head = check_response(b"GET", 200, b"", [(b"Content-Length", b"7")] * 2)
        self.assertEqual(head.length, 7)

    def test_the_longest_body(self) -> None:
        head = check_response(b"GET", 200, b"", [(b"Content-Length", b"%d" % MAX_LENGTH)])
        self.assertEqual(head.length, MAX_LENGTH)
        self.refused([(b"Content-Length", b"%d" % (MAX_LENGTH + 1))], text="not a content-length")
        self.refused([(b"Content-Length", b"0" * 19 + b"1")], text="not a content-length")

    def test_how_much_may_be_said(self) -> None:
        """Up to the limits, and no byte and no field more."""
        value = b"v" * (MAX_RESPONSE_HEAD // 2 - 1)
        check_response(b"GET", 200, b"r" * MAX_REASON, [(b"A", value), (b"B", value)])
        self.refused(reason=b"r" * (MAX_REASON + 1), text="reason")
        self.refused([(b"A", value), (b"B", value + b"v")], text="too large")
        check_response(b"GET", 200, b"", [(b"A", b"")] * MAX_RESPONSE_FIELDS)
        self.refused([(b"A", b"")] * (MAX_RESPONSE_FIELDS + 1), text="too large")

    def test_what_is_wrong_is_shown_in_short(self) -> None:
        self.refused([(b"Content-Length", b"x" * 50)], text=f"'{'x' * 40}' is not a content-length")
        self.refused([(b"a b" * 20, b"")], text="'a ba ba ba ba ba ba ba ba ba ba ba ba ba' is not")

    def test_bad_content_lengths_are_refused(self) -> None:
        for value in (b"", b"+1", b"-1", b"1,1", b"0x1", b"1.0", b"a", b"9" * 19, b"1" * 30):
            self.refused([(b"Content-Length", value)], text="content-length")
        self.refused([(b"Content-Length", b"1"), (b"content-length", b"2")], text="two values")

    def test_statuses_outside_the_final_ones_are_refused(self) -> None:
        for status in (-1, 0, 99, 100, 101, 199, 600, 1000):
            self.refused(status=status)
        for status in 200, 599:
            self.assertEqual(check_response(b"GET", status, b"", []).status, status)

    def test_bad_names_are_refused(self) -> None:
        for name in (b"", b"A B", b"A:", b"A\r", b"A\n", b"A\0", b"\xe9", b"A\t"):
            self.refused([(name, b"x")], text="field name")

    def test_bad_values_are_refused(self) -> None:
        for value in (b"a\rb", b"a\nb", b"a\0b", b"\x7f", b"\x01", b"a\r\nX: y"):
            self.refused([(b"A", value)], text="the value of")
            # Also of fields that are dropped or taken out.
            self.refused([(b"Connection", value)])
            self.refused([(b"Content-Length", value)])

    def test_bad_reasons_are_refused(self) -> None:
        for reason in (b"a\r\nX: y", b"a\0", b"x" * 300):
            self.refused(reason=reason, text="reason")

    def test_too_much_is_refused(self) -> None:
        self.refused([(b"A", b"b")] * 300, text="too large")
        self.refused([(b"A", b"b" * 70_000)], text="too large")

    def test_hop_by_hop_fields_and_nominated_ones_are_dropped(self) -> None:
        head = check_response(
            b"GET",
            200,
            b"",
            [
                (b"Connection", b"close, X-One"),
                (b"connection", b"x-two"),
                (b"Transfer-Encoding", b"chunked"),
                (b"Keep-Alive", b"1"),
                (b"Upgrade", b"h2c"),
                (b"X-Request-Id", b"mine"),
                (b"X-One", b"1"),
                (b"X-Two", b"2"),
                (b"X-Three", b"3"),
            ],
        )
        self.assertEqual(head.headers, [(b"X-Three", b"3")])

    def test_white_space_around_values_is_removed(self) -> None:
        for value in b"\t b c  ", b" b c", b"b c\t", b"b c":
            head = check_response(b"GET", 200, b"", [(b"A", value), (b"Content-Length", b"\t1 ")])
            self.assertEqual((head.headers, head.length), ([(b"A", b"b c")], 1))
        head = check_response(b"GET", 200, b"", [(b"A", b" XbX "), (b"B", b"b")])
        self.assertEqual(head.headers, [(b"A", b"XbX"), (b"B", b"b")])
        self.refused([(b"Content-Length", b" X1 ")], text="'X1' is not a content-length")

    def test_head_204_205_and_304_are_bodiless(self) -> None:
        for method, status in ((b"HEAD", 200), (b"GET", 204), (b"GET", 205), (b"GET", 304)):
            self.assertTrue(check_response(method, status, b"", []).bodiless)
        self.assertFalse(check_response(b"GET", 404, b"", []).bodiless)


class CheckInterimTests(SynchronousTestCase):
    def test_interim_statuses(self) -> None:
        head = check_interim(103, [(b"Link", b"x"), (b"Content-Length", b"5")])
        self.assertEqual((head.status, head.headers), (103, [(b"Link", b"x")]))
        self.assertEqual((head.length, head.bodiless), (None, True))

    def test_all_but_101(self) -> None:
        for status in 100, 102, 199:
            head = check_interim(status, [])
            self.assertEqual((head.status, head.reason), (status, b""))

    def test_101_and_final_ones_are_refused(self) -> None:
        for status in (0, 99, 101, 200, 404):
            self.assertRaises(GuestMisbehaved, check_interim, status, [])


class CheckTrailersTests(SynchronousTestCase):
    def test_trailers_pass_without_what_means_nothing_there(self) -> None:
        self.assertEqual(
            check_trailers([(b"X-Sum", b" 1 "), (b"Content-Length", b"5"), (b"Host", b"a")]),
            [(b"X-Sum", b"1")],
        )

    def test_what_the_head_has_nominated(self) -> None:
        """It goes no further here either, whatever its case."""
        head = check_response(b"GET", 200, b"", [(b"Connection", b"X-Sum\t, b")])
        self.assertEqual(head.nominated, {b"x-sum", b"b"})
        trailers = [(b"x-SUM", b"1"), (b"A", b"2")]
        self.assertEqual(check_trailers(trailers, head.nominated), [(b"A", b"2")])

    def test_how_much_may_be_said(self) -> None:
        value = b"v" * (MAX_RESPONSE_HEAD // 2 - 1)
        fields = [(b"A", value), (b"B", value)]
        self.assertEqual(check_trailers(fields), fields)
        self.assertRaises(GuestMisbehaved, check_trailers, [*fields, (b"C", b"")])
        fields = [(b"A", b" X ")] * MAX_RESPONSE_FIELDS
        self.assertEqual(check_trailers(fields), [(b"A", b"X")] * MAX_RESPONSE_FIELDS)
        self.assertRaises(GuestMisbehaved, check_trailers, [*fields, (b"A", b"")])

    def test_malformed_ones_are_refused(self) -> None:
        for pair in ((b"A B", b"x"), (b"A", b"x\r\n"), (b"", b"")):
            self.assertRaises(GuestMisbehaved, check_trailers, [pair])
        self.assertRaises(GuestMisbehaved, check_trailers, [(b"A", b"x" * 70_000)])
        self.assertRaises(GuestMisbehaved, check_trailers, [(b"A", b"x")] * 300)
