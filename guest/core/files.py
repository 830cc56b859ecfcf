"""
Files as bodies of responses.

A file is opened when the response is made, and its length and its validators are those of then.
Imports no framework.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

PIECE = 65_536
"""Bytes that are read at once where the kernel can't send the file."""


class FileBody:
    """
    An open file, or a part of it, as the body of a response.

    @ivar file: the file; L{close} closes it.
    @ivar size: of the file.
    @ivar start: the first byte to send.
    @ivar stop: the one behind the last.
    @ivar etag: a strong validator.
    @ivar modified: seconds since the epoch.
    @ivar settled: the head of the response is final: conditions and ranges have been looked at.
    """

    __slots__ = ("etag", "file", "modified", "settled", "size", "start", "stop")

    def __init__(self, file: BinaryIO, settled: bool = False) -> None:
        """
        Take an open file.

        @raise OSError: it is not a regular file.
        """
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise OSError(f"{file.name} is not a regular file")
        self.file = file
        self.settled = settled
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
    import mimetypes  # a cold start does without these
    from email.utils import formatdate

    file = open(path, "rb")  # noqa: SIM115 (closed with the response)
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
