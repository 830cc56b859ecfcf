"""
The HTTP frontend alone, in a process: what suites and slow clients are run against.

    python -m tests.integration.probe_server [PORT]

Answers GET with C{OK} and any request with a body with that body, both as the contract
of Http1Probe has it. Prints the port it listens on.
"""

from __future__ import annotations

import sys

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.logger import globalLogBeginner, textFileLogObserver
from zope.interface import implementer

from subproxy.core.exchange import Exchange, Headers, State
from subproxy.errors import ProxyError
from subproxy.frontend.factory import Http1Factory
from subproxy.interfaces import IDispatcher, IRequestCarrier


@implementer(IRequestCarrier)
class Echo:
    """Answers one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.body = bytearray()

    def sendBody(self, data: bytes) -> None:
        self.body += data

    def endBody(self, trailers: Headers) -> None:
        if self.exchange.state is State.SENT:
            self.whole(bytes(self.body))

    def whole(self, body: bytes) -> None:
        self.exchange.response_start(200, b"", [(b"Content-Type", b"text/plain")], body or b"OK")

    def cancel(self, error: ProxyError) -> None:
        pass

    def consumed(self, amount: int) -> None:
        pass


@implementer(IDispatcher)
class EchoDispatcher:
    """Answers every exchange."""

    def dispatch(self, exchange: Exchange) -> None:
        echo = Echo(exchange)
        exchange.taken(None, echo)  # type: ignore[arg-type]
        if exchange.body is None:
            exchange.resume_request()
        else:
            echo.whole(exchange.body)

    def finished(self, exchange: Exchange) -> None:
        pass


def main() -> None:
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    endpoint = TCP4ServerEndpoint(reactor, port, backlog=4096, interface="127.0.0.1")
    factory = Http1Factory(EchoDispatcher())
    listening = endpoint.listen(factory)
    listening.addCallback(lambda it: print(it.getHost().port, flush=True))
    listening.addErrback(lambda failure: (failure.printTraceback(), reactor.stop()))
    reactor.run()


if __name__ == "__main__":
    main()
