"""A file as a response, for the tests of files and of conditional requests."""

from __future__ import annotations

import os
from email.utils import formatdate
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from guest.core.conditionals import apply_conditionals
from guest.core.files import FileBody
from guest.core.framework import Framework
from guest.core.request import Request
from guest.core.request_body import IncomingBody
from guest.core.response import Response

CONTENT = bytes(range(256)) * 4
MTIME = 1_700_000_000


class ServedFileCase(SynchronousTestCase):
    """A file of known content and age, asked for without a proxy."""

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
