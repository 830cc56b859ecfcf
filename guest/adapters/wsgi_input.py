"""What a WSGI application reads of a request, and files that it answers with."""

from __future__ import annotations

import io
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any, BinaryIO

from guest.core.files import FileBody


class ClientLeft(ConnectionError):
    """The rest of a request's body will never come: its client has left, or so."""


class PieceReader(io.RawIOBase):
    """
    A body that comes in pieces to another thread, as a raw stream.

    L{ask} has one more piece brought into C{pieces}: bytes, None at the end, or an exception.
    """

    def __init__(self, ask: Any) -> None:
        super().__init__()
        self._ask = ask
        self._piece = memoryview(b"")
        self._over = False
        self.pieces: SimpleQueue[bytes | Exception | None] = SimpleQueue()

    def readable(self) -> bool:
        """See C{io.RawIOBase}."""
        return True

    def readinto(self, buffer: Any) -> int:
        """
        See C{io.RawIOBase}.

        @raise ClientLeft: the rest will never come.
        """
        if not self._piece and not self._over:
            self._ask()
            piece = self.pieces.get()
            if isinstance(piece, bytes):
                self._piece = memoryview(piece)
            elif piece is None:
                self._over = True
            else:
                raise ClientLeft(str(piece)) from piece
        size = min(len(buffer), len(self._piece))
        buffer[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        return size


class FileWrapper:
    """
    C{wsgi.file_wrapper}: an iterable over a file, which is sent by the kernel where it can be.

    @ivar filelike: the file.
    """

    def __init__(self, filelike: Any, block_size: int = 65_536) -> None:
        """Take a file, or what has at least C{read}."""
        self.filelike = filelike
        self._block_size = block_size

    def __iter__(self) -> Iterator[bytes]:
        """Its pieces, from where it stands."""
        while piece := self.filelike.read(self._block_size):
            yield piece

    def close(self) -> None:
        """Close the file, if it can be."""
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()

    def as_body(self, length: int | None) -> FileBody | None:
        """
        The rest of the file as a body that the kernel can send.

        @param length: that the application has told; None: it has not.
        @return: None if it is no plain file, or has not so much.
        """
        try:
            body: FileBody = LentFile(self.filelike, settled=True)
            body.start = self.filelike.tell()
        except (AttributeError, OSError, ValueError, TypeError):
            return None
        if body.start > body.size or (length is not None and length > len(body)):
            return None
        if length is not None:
            body.stop = body.start + length
        return body


class LentFile(FileBody):
    """A file that its owner closes."""

    __slots__ = ()

    def __init__(self, file: BinaryIO, settled: bool = False) -> None:
        """
        Take an open file.

        @raise OSError: it is not a regular file.
        """
        super().__init__(file, settled)

    def close(self) -> None:
        """Its owner does."""
