"""Files as responses: their fields, and that they are closed."""

from __future__ import annotations

from guest.core.files import FileBody
from guest.core.request import Request
from guest.core.response import Response
from guest.testing import MemoryProxy
from guest.twisted.subscriber import SubscriberProtocol
from tests.rigs.served_file import CONTENT, ServedFileCase


class FilesTests(ServedFileCase):
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
