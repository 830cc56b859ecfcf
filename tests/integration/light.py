"""
The same application twice, in a few lines of asyncio: a back end that other proxies dial, and a
guest that subscribes. Both cost as much to start and, within a few microseconds, to ask: beside
each other they show what the proxies do, and not what the guest library does.
"""

from __future__ import annotations

import asyncio
import os
import socket

from subproxy.wire.frames import encoded_pieces
from tests.integration.counting import executed

HELLO = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nhello, world\n"
ANSWER = b"8:response,%d:%b#3:200#34:30:12:content-type,10:text/plain,]]0:}13:hello, world\n,"


class Http(asyncio.Protocol):
    """Enough of HTTP for a proxy that sends one request at a time; C{work} makes it costlier."""

    def __init__(self, work: int = 0) -> None:
        self.work = work

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        while b"\r\n\r\n" in self.data:
            head, _, self.data = self.data.partition(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].split(b" ")
            if method == b"POST":
                executed(target)
            busy = [(each, str(each)) for each in range(self.work)]
            busy.clear()
            self.transport.write(HELLO)


class Subscriber(asyncio.Protocol):
    """Enough of C{docs/protocol.md} for a proxy that sends requests without bodies, and pings."""

    def __init__(self, host: bytes, gone: asyncio.Event) -> None:
        self.host = host
        self.gone = gone
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        info = {b"version": 1, b"application": b"light", b"instance": b"%d" % os.getpid()}
        for frame in ([b"hello", info], [b"register", 1, self.host, b"/.*"]):
            self.transport.write(b"".join(encoded_pieces(frame)))

    def connection_lost(self, exception: Exception | None) -> None:
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        self.data += data
        while True:
            length, colon, rest = self.data.partition(b":")
            if not colon or len(rest) <= int(length):
                return
            frame, self.data = rest[: int(length)], rest[int(length) + 1 :]
            self.received(frame)

    def received(self, frame: bytes) -> None:
        """One frame, without its length and its tag."""
        if frame.startswith(b"4:ping,"):
            said = b"4:pong," + frame[7:]
        elif frame.startswith(b"7:request,"):
            number, _, rest = frame[10:].partition(b":")[2].partition(b"#")
            method, rest = rest.partition(b":")[2].split(b",", 1)
            if method == b"POST":
                size, _, rest = rest.partition(b":")
                executed(rest[: int(size)])
            said = ANSWER % (len(number), number)
        else:
            return
        self.transport.write(b"%d:%b]" % (len(said), said))


def backend(port: int, work: int = 0) -> None:
    """Serve on a port of loopback until killed; C{work} objects are made for each request."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(1024)

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Http(work), sock=listening)
        await server.serve_forever()

    asyncio.run(main())


def guest(path: str, host: str) -> None:
    """Subscribe, over the unix socket C{path}, to requests for C{host}; until killed."""

    async def main() -> None:
        gone = asyncio.Event()
        await asyncio.get_running_loop().create_unix_connection(
            lambda: Subscriber(host.encode(), gone), path
        )
        await gone.wait()

    asyncio.run(main())
