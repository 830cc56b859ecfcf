"""Files as responses: validators, conditions, ranges (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import os
from email.utils import formatdate
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest.core.conditionals import apply_conditionals
from guest.core.files import FileBody
from guest.core.framework import Framework
from guest.core.request import Request
from guest.core.request_body import IncomingBody
from guest.core.response import Response
from guest.testing import MemoryProxy
from guest.twisted.subscriber import SubscriberProtocol

CONTENT = bytes(range(256)) * 4
MTIME = 1_700_000_000


class FilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).with_suffix(".txt")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(CONTENT)
        os.utime(self.path, (MTIME, MTIME))
        self.date = formatdate(MTIME, usegmt=True).encode()
        self.earlier = formatdate(MTIME - 1, usegmt=True).encode()
        response = Response.file(self.path)
        self.etag = dict(response.headers)[b"etag"]
        self.close(response)

    def close(self, response: Response) -> None:
        assert isinstance(response.body, FileBody)
        response.body.close()

    def ask(self, *headers: tuple[bytes, bytes], method: bytes = b"GET") -> tuple[Response, bytes]:
        framework = Framework(lambda: None, lambda future, value: None, lambda function: None)  # type: ignore[arg-type,return-value]
        body = IncomingBody(framework, lambda amount: None, b"")
        request = Request(method, b"/", list(headers), {}, body, lambda status, fields: None)
        response = Response.file(self.path)
        assert isinstance(response.body, FileBody)
        apply_conditionals(request, response, response.body)
        data = b"".join(response.body)
        self.close(response)
        return response, data

    def status(self, *headers: tuple[bytes, bytes], method: bytes = b"GET") -> int:
        return self.ask(*headers, method=method)[0].status

    def test_plain(self) -> None:
        """All of it, with a type by its name and validators."""
        response, data = self.ask()
        fields = dict(response.headers)
        self.assertEqual((response.status, data), (200, CONTENT))
        self.assertEqual(fields[b"content-type"], b"text/plain")
        self.assertEqual(fields[b"last-modified"], self.date)
        self.assertEqual(fields[b"content-length"], b"1024")
        self.assertEqual(fields[b"accept-ranges"], b"bytes")

    def test_own_fields(self) -> None:
        """A field of one's own takes the place of that of the same name."""
        response = Response.file(self.path, [(b"Content-Type", b"a/b"), (b"X", b"y")])
        self.close(response)
        names = [name.lower() for name, _ in response.headers]
        self.assertEqual(names.count(b"content-type"), 1)
        self.assertIn((b"X", b"y"), response.headers)

    def test_no_file(self) -> None:
        self.assertRaises(FileNotFoundError, Response.file, self.path.with_suffix(".no"))
        self.assertRaises(OSError, Response.file, self.path.parent)

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

    def test_shorter(self) -> None:
        """A file that shrinks meanwhile breaks the response off."""
        response = Response.file(self.path)
        self.path.write_bytes(b"x")
        assert isinstance(response.body, FileBody)
        self.assertRaises(OSError, b"".join, response.body)
        self.close(response)

    def test_through_a_proxy(self) -> None:
        """As an application uses it; the file is closed at the end."""
        path = self.path
        made: list[Response] = []

        class Files(SubscriberProtocol):
            def requestReceived(self, request: Request) -> Response:
                made.append(Response.file(path))
                return made[-1]

        proxy = MemoryProxy(Files)
        for method, headers, status, body in (
            (b"GET", [], 200, CONTENT),
            (b"GET", [(b"Range", b"bytes=1-3")], 206, CONTENT[1:4]),
            (b"HEAD", [], 200, b""),
            (b"GET", [(b"If-None-Match", self.etag)], 304, b""),
        ):
            response = self.successResultOf(proxy.request(method, b"/", headers))
            self.assertEqual((response.status, response.body), (status, body))
            assert isinstance(made[-1].body, FileBody)
            self.assertTrue(made[-1].body.file.closed)
