"""A plain Twisted HTTP echo: what a reactor costs a request, without a proxy around it.

It answers each request head with 13 bytes, by an ordinary C{Protocol} on an ordinary TCP port: the
least that a Twisted program does. C{python -m benchmarks.reactor_echo --reactor io_uring}
"""

from __future__ import annotations

import argparse

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"
LAST_ANSWER = ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


def install(name: str) -> None:
    """Installs the reactor of this name, as C{twistd --reactor} does."""
    from twisted.application.reactors import installReactor

    installReactor(name)


def main() -> None:
    """Serves until a signal ends it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reactor", default="epoll", help="epoll, io_uring, asyncio ...")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    install(options.reactor)

    from twisted.internet import protocol, reactor

    class Echo(protocol.Protocol):
        """Answers a request when the end of its head arrives."""

        _partial = b""

        def dataReceived(self, data: bytes) -> None:
            if self._partial:
                data = self._partial + data
            heads = data.count(b"\r\n\r\n")
            self._partial = data.rpartition(b"\r\n\r\n")[2]
            if not heads:
                return
            if b"Connection: close" in data:
                self.transport.write(LAST_ANSWER)  # type: ignore[union-attr]
                self.transport.loseConnection()  # type: ignore[union-attr]
            else:
                self.transport.write(ANSWER * heads)  # type: ignore[union-attr]

    factory = protocol.ServerFactory()
    factory.protocol = Echo
    factory.noisy = False
    reactor.listenTCP(options.port, factory, backlog=4096, interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main()
