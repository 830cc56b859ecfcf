"""The application that runs inside the machines of test_vm_guest, and the bytes it deals in.

The test imports this module as well, to know what the guest must have sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from guest import Request, Response, SubscriberProtocol

BLOCK = 65536
MEBIBYTE = 1 << 20


def pattern(size: int) -> Iterator[bytes]:
    """C{size} bytes that repeat nowhere: each block of 64 KiB begins with its number."""
    seed = hashlib.sha256(b"subproxy").digest()
    filler = (seed * (BLOCK // len(seed)))[8:]
    for number in range(size // BLOCK):
        yield number.to_bytes(8, "big") + filler
    yield filler[: size % BLOCK]


def digest(pieces: Iterator[bytes]) -> str:
    """The digest that both ends compare; zlib's are quicker under emulation, but prove less."""
    total = hashlib.blake2b(digest_size=20)
    for piece in pieces:
        total.update(piece)
    return total.hexdigest()


BOOT = Path("/proc/sys/kernel/random/boot_id").read_bytes()


class App(SubscriberProtocol):
    """Says who it is, sends much, takes much, and never ends."""

    async def requestReceived(self, request: Request) -> Response:
        path = request.path
        if path == b"/boot":
            return Response(200, [], BOOT)
        if path == b"/echo":
            return Response(200, [], await request.read())
        if path.startswith(b"/send/"):
            size = int(path[6:])
            return Response(200, [(b"content-length", b"%d" % size)], pattern(size))
        if path == b"/take":
            total = hashlib.blake2b(digest_size=20)
            size = 0
            async for piece in request:
                total.update(piece)
                size += len(piece)
            return Response(200, [], f"{size} {total.hexdigest()}".encode())
        if path == b"/endless":
            return Response(200, [], _endless())
        return Response(404)


def _endless() -> Iterator[bytes]:
    while True:
        yield bytes(1024)
