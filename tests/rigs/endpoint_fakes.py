"""A stand-in for the socket layer of AF_VSOCK, which must not be used on a test machine.

The streams are real (socket pairs); only the names of their ends, which the
kernel would tell, and the errors that it would raise are told by the test.
"""

from __future__ import annotations

import socket
from collections import deque
from errno import EAGAIN, EINPROGRESS
from typing import Any

from subproxy.endpoints.addresses import CID_ANY


class FakeListener:
    """A listening AF_VSOCK socket. C{arrive} is a guest that dials; an error is accept's."""

    def __init__(self, cid: int = CID_ANY, port: int = 12345) -> None:
        self.name = (cid, port)
        self.waiting: deque[Any] = deque()
        self.closed = False
        self._pair = socket.socketpair()

    def arrive(self, cid: int, port: int = 1024) -> socket.socket:
        """The guest's end of a new connection."""
        one, theirs = socket.socketpair()
        ours = FakeStream(fileno=one.detach())
        ours.name = (2, self.name[1])
        self.waiting.append((ours, (cid, port)))
        theirs.settimeout(5)
        return theirs

    def accept(self) -> tuple[socket.socket, tuple[int, int]]:
        if not self.waiting:
            raise BlockingIOError(EAGAIN, "nobody waits")
        found = self.waiting.popleft()
        if isinstance(found, OSError):
            raise found
        result: tuple[socket.socket, tuple[int, int]] = found
        return result

    def getsockname(self) -> tuple[int, int]:
        return self.name

    def fileno(self) -> int:
        return self._pair[0].fileno()

    def setblocking(self, flag: bool) -> None:
        pass

    def shutdown(self, how: int) -> None:
        pass

    def close(self) -> None:
        self.closed = True
        for found in self.waiting:
            if not isinstance(found, OSError):
                found[0].close()
        for end in self._pair:
            end.close()


class FakeStream(socket.socket):
    """A connected AF_VSOCK stream: a unix one that says it has a CID and a port."""

    name = (3, 5000)

    def getsockname(self) -> tuple[int, int]:
        return self.name


class FakeDialling(FakeStream):
    """An AF_VSOCK socket that is connected when it is asked the second time, or fails."""

    results: tuple[int, ...] = (EINPROGRESS, 0)

    def connect_ex(self, address: Any) -> int:
        self.dialled = address
        result, self.results = self.results[0], self.results[1:]
        return result
