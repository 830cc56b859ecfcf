"""Conditional requests and ranges (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.rigs.served_file import CONTENT, ServedFileCase


class ConditionalTests(ServedFileCase):
    def test_conditions(self) -> None:
        """In the order of section 13.2.2."""
        other = b'"other"'
        for headers, wanted in (
            ([(b"If-None-Match", self.etag)], 304),
            ([(b"if-none-match", b"W/" + self.etag)], 304),
            ([(b"If-None-Match", other + b", " + self.etag)], 304),
            ([(b"If-None-Match", other), (b"If-None-Match", self.etag)], 304),
            ([(b"If-None-Match", b"*")], 304),
            ([(b"If-None-Match", other)], 200),
            ([(b"If-None-Match", other), (b"If-Modified-Since", self.date)], 200),
            ([(b"If-Modified-Since", self.date)], 304),
            ([(b"If-Modified-Since", self.earlier)], 200),
            ([(b"If-Modified-Since", b"yesterday")], 200),
            ([(b"If-Match", self.etag)], 200),
            ([(b"If-Match", b"*")], 200),
            ([(b"If-Match", other)], 412),
            ([(b"If-Match", b"W/" + self.etag)], 412),
            ([(b"If-Match", self.etag), (b"If-Unmodified-Since", self.earlier)], 200),
            ([(b"If-Unmodified-Since", self.earlier)], 412),
            ([(b"If-Unmodified-Since", self.date)], 200),
            ([(b"If-Match", self.etag), (b"If-None-Match", self.etag)], 304),
        ):
            self.assertEqual(self.status(*headers), wanted, headers)
        self.assertEqual(self.status((b"If-None-Match", self.etag), method=b"HEAD"), 304)
        self.assertEqual(self.status((b"If-None-Match", self.etag), method=b"POST"), 200)

    def test_412_and_416_have_no_body(self) -> None:
        response, data = self.ask((b"If-Match", b'"x"'))
        self.assertEqual((data, dict(response.headers)[b"content-length"]), (b"", b"0"))
        response, data = self.ask((b"Range", b"bytes=1024-"))
        self.assertEqual((response.status, data), (416, b""))
        self.assertEqual(dict(response.headers)[b"content-range"], b"bytes */1024")

    def test_ranges(self) -> None:
        for value, first, last in (
            (b"bytes=0-0", 0, 0),
            (b"bytes=10-19", 10, 19),
            (b"bytes=1000-", 1000, 1023),
            (b"bytes=1000-5000", 1000, 1023),
            (b"bytes=-24", 1000, 1023),
            (b"bytes=-5000", 0, 1023),
            (b"bytes= 5-6 ", 5, 6),
        ):
            response, data = self.ask((b"Range", value))
            self.assertEqual((response.status, data), (206, CONTENT[first : last + 1]), value)
            told = dict(response.headers)[b"content-range"]
            self.assertEqual(told, b"bytes %d-%d/1024" % (first, last))
        for value in (b"bytes=1-2,4-5", b"bytes=5-4", b"bytes=", b"lines=1-2", b"bytes=a-b", b"-5"):
            self.assertEqual(self.status((b"Range", value)), 200, value)
        self.assertEqual(self.status((b"Range", b"bytes=-0")), 416)
        self.assertEqual(self.status((b"Range", b"bytes=0-1"), method=b"HEAD"), 200)

    def test_if_range(self) -> None:
        """A range of something else is no use: then all of it."""
        part = (b"Range", b"bytes=0-9")
        for value, wanted in (
            (self.etag, 206),
            (self.date, 206),
            (b'"x"', 200),
            (b"W/" + self.etag, 200),
            (self.earlier, 200),
            (b"nonsense", 200),
        ):
            self.assertEqual(self.status(part, (b"If-Range", value)), wanted, value)

    @given(st.binary(max_size=30))
    def test_any_range(self, value: bytes) -> None:
        """Whatever is asked, what is sent is a part of the file, and its length is right."""
        response, data = self.ask((b"Range", b"bytes=" + value))
        self.assertIn(response.status, (200, 206, 416))
        self.assertEqual(dict(response.headers)[b"content-length"], b"%d" % len(data))
        self.assertIn(data, CONTENT)
