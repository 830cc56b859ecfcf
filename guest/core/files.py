"""
Answers from files: conditional requests (RFC 9110, section 13) and ranges (section 14).

A file is opened when the response is made, and its length and its validators are those of then.
One range is served; of several none is (section 14.2 allows that). Imports no framework.
"""

from __future__ import annotations

import mimetypes
import os
import re
import stat
from collections.abc import Iterator
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from guest.core.request import Request
    from guest.core.response import Response

PIECE = 65_536
"""Bytes that are read at once where the kernel can't send the file."""

_RANGE = re.compile(rb"bytes=[ \t]*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))[ \t]*")
_ENTITY_TAG = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


class FileBody:
    """
    An open file, or a part of it, as the body of a response.

    @ivar file: the file; L{close} closes it.
    @ivar size: of the file.
    @ivar start: the first byte to send.
    @ivar stop: the one behind the last.
    @ivar etag: a strong validator.
    @ivar modified: seconds since the epoch.
    """

    __slots__ = ("etag", "file", "modified", "size", "start", "stop")

    def __init__(self, file: BinaryIO) -> None:
        """
        Take an open file.

        @raise OSError: it is not a regular file.
        """
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise OSError(f"{file.name} is not a regular file")
        self.file = file
        self.size = self.stop = about.st_size
        self.start = 0
        self.etag = b'"%x-%x"' % (about.st_mtime_ns, about.st_size)
        self.modified = int(about.st_mtime)

    def __len__(self) -> int:
        """Length of the part that is sent, in bytes."""
        return self.stop - self.start

    def __iter__(self) -> Iterator[bytes]:
        """
        The bytes in pieces.

        @raise OSError: they can't be read, or the file has become shorter.
        """
        at = self.start
        while at < self.stop:
            piece = os.pread(self.file.fileno(), min(PIECE, self.stop - at), at)
            if not piece:
                raise OSError(f"{self.file.name} has become shorter")
            at += len(piece)
            yield piece

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def open_file(path: str | os.PathLike[str]) -> tuple[FileBody, list[tuple[bytes, bytes]]]:
    """
    The body and the header fields of a response with all of a file.

    @raise OSError: it can't be opened, or is not a regular file.
    """
    file = Path(path).open("rb")  # noqa: SIM115 (closed with the response)
    try:
        body = FileBody(file)
    except OSError:
        file.close()
        raise
    kind, encoding = mimetypes.guess_type(file.name)
    if encoding is not None or kind is None:
        kind = "application/octet-stream"
    modified = formatdate(body.modified, usegmt=True).encode()
    return body, [
        (b"content-type", kind.encode()),
        (b"etag", body.etag),
        (b"last-modified", modified),
        (b"accept-ranges", b"bytes"),
    ]


def apply_conditionals(request: Request, response: Response, body: FileBody) -> None:
    """Make of a response with status 200 and all of a file what C{request} asks for."""
    method = request.method
    if response.status == 200 and method in (b"GET", b"HEAD"):
        status = _precondition(request, body)
        if status is not None:
            response.status = status
            if status == 412:
                body.stop = body.start
        elif method == b"GET" and _in_range(request, body):
            _range(request, response, body)
    if response.status != 304:
        response.headers.append((b"content-length", b"%d" % len(body)))


def _precondition(request: Request, body: FileBody) -> int | None:
    """The status that ends it, in the order of RFC 9110, section 13.2.2."""
    match = _values(request, b"if-match")
    if match is not None:
        if not _among(body.etag, match, weak=False):
            return 412
    else:
        since = _date(request.header(b"if-unmodified-since"))
        if since is not None and body.modified > since:
            return 412
    none = _values(request, b"if-none-match")
    if none is not None:
        if _among(body.etag, none, weak=True):
            return 304
    else:
        since = _date(request.header(b"if-modified-since"))
        if since is not None and body.modified <= since:
            return 304
    return None


def _in_range(request: Request, body: FileBody) -> bool:
    """Whether C{If-Range}, if it is there, holds (RFC 9110, section 13.1.5)."""
    value = request.header(b"if-range")
    if not value:
        return True
    if value.startswith((b'"', b"W/")):
        return value == body.etag
    return _date(value) == body.modified


def _range(request: Request, response: Response, body: FileBody) -> None:
    values = _values(request, b"range")
    found = _RANGE.fullmatch(values) if values is not None else None
    if found is None:
        return
    first, last, suffix = found.groups()
    if suffix is not None:
        start, stop = max(0, body.size - int(suffix)), body.size
    else:
        start = int(first)
        stop = min(body.size, int(last) + 1) if last else body.size
        if last and int(last) < start:
            return  # no range at all (section 14.1.1)
    if start >= stop:
        response.status = 416
        response.headers.append((b"content-range", b"bytes */%d" % body.size))
        body.stop = body.start
        return
    response.status = 206
    response.headers.append((b"content-range", b"bytes %d-%d/%d" % (start, stop - 1, body.size)))
    body.start, body.stop = start, stop


def _values(request: Request, name: bytes) -> bytes | None:
    """The values of all fields of that name; None if there are none."""
    found = [value for each, value in request.headers if each.lower() == name]
    return b", ".join(found) if found else None


def _among(etag: bytes, tags: bytes, weak: bool) -> bool:
    """Whether C{etag}, a strong one, is one of a list of entity tags (section 8.8.3.2)."""
    if tags.strip() == b"*":
        return True
    return any(
        each == etag or (weak and each == b"W/" + etag) for each in _ENTITY_TAG.findall(tags)
    )


def _date(value: bytes) -> int | None:
    """An HTTP date as seconds since the epoch; None if it is none."""
    try:
        return int(parsedate_to_datetime(value.decode("ascii")).timestamp()) if value else None
    except (ValueError, TypeError, OverflowError):
        return None
