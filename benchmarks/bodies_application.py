"""The application in subproxy's guest for large bodies; the peers have ``native/backend.c``."""

from __future__ import annotations

import os
import tempfile
from functools import cache

from guest.request import Request
from guest.response import Response
from guest.subscriber import SubscriberProtocol

TYPE = (b"Content-Type", b"application/octet-stream")


@cache
def path_of(size: int) -> str:
    """A file of so many bytes, in memory, as the peers' backend has one."""
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.NamedTemporaryFile(dir=folder, prefix="subproxy-bodies-") as file:
        descriptor = os.dup(file.fileno())
    os.truncate(descriptor, size)
    return f"/proc/self/fd/{descriptor}"


class BodiesApplication(SubscriberProtocol):
    """``GET /bytes/N`` is N bytes; what is uploaded is thrown away; all else is 13 bytes."""

    async def requestReceived(self, request: Request) -> Response:
        if request.method in (b"PUT", b"POST"):
            async for _ in request:
                pass
        elif request.path.startswith(b"/bytes/"):
            size = int(request.path[7:])
            if size:
                return Response.file(path_of(size), [TYPE])
            return Response(200, [TYPE])
        return Response(200, [(b"Content-Type", b"text/plain")], b"Hello, World!")
