"""The application of the tests of large bodies: it can be asked to do all that bodies can do."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator

from guest import Request, Response, SubscriberProtocol

_BLOCK = hashlib.shake_256(b"bodies").digest(1 << 20)


def content(size: int) -> bytes:
    """So many bytes, always the same."""
    whole, rest = divmod(size, len(_BLOCK))
    return _BLOCK * whole + _BLOCK[:rest]


def pieces(size: int, most: int = 50_000) -> Iterator[bytes]:
    """The same in pieces."""
    at = 0
    while at < size:
        start = at % len(_BLOCK)
        piece = _BLOCK[start : start + min(most, size - at)]
        at += len(piece)
        yield piece


class Bodies(SubscriberProtocol):
    """
    C{/file/N}, C{/bytes/N}, C{/pieces/N}, C{/stream/N} (marked as bulk, length unknown): N bytes.

    C{/digest}: the digest and the length of the request's body. C{/ignore}: does not read it.
    C{/short/N}: says N bytes, and gives half of them. C{/small}: a few.
    """

    async def requestReceived(self, request: Request) -> Response:
        _, kind, *rest = request.path.split(b"/")
        size = int(rest[0]) if rest else 0
        length = [(b"content-length", b"%d" % size)]
        if kind == b"file":
            return Response.file(_path(size))
        if kind == b"bytes":
            return Response(200, [], content(size))
        if kind == b"pieces":
            return Response(200, length, pieces(size))
        if kind == b"stream":
            return Response(200, [], pieces(size), bulk=True)
        if kind == b"short":
            return Response(200, length, pieces(size // 2))
        if kind == b"digest":
            digest, count = hashlib.sha256(), 0
            async for piece in request:
                digest.update(piece)
                count += len(piece)
            return Response(200, [], f"{digest.hexdigest()} {count}".encode())
        return Response(200, [], b"small")


_files: dict[int, str] = {}


def _path(size: int) -> str:
    if size not in _files:
        with tempfile.NamedTemporaryFile(delete=False, dir=os.getcwd()) as file:
            for piece in pieces(size):
                file.write(piece)
        _files[size] = file.name
    return _files[size]
