"""
The HTTP frontend alone, in a process: what suites and slow clients are run against.

    python -m tests.integration.probe_server [PORT] [LIMIT=VALUE]...

Answers GET with C{OK} and any request with a body with that body, both as the contract
of Http1Probe has it. C{/slow} is answered after half a second, C{/large} with 64 MiB under credit,
C{/cancelled} with the monotonic times, in milliseconds, at which exchanges were given up. Prints
the port it listens on.
"""

from __future__ import annotations

import sys
import time

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.logger import globalLogBeginner, textFileLogObserver
from zope.interface import implementer

from subproxy.core.exchange import Exchange, ExchangeState, Headers, IDispatcher, RequestHead
from subproxy.core.interfaces import IUpstreamRequest
from subproxy.errors import ProxyError
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.limits import TABLE, HttpLimits, parse


@implementer(IUpstreamRequest)
class Echo:
    """Answers one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.body = bytearray()
        self.left = self.credit = 0
        self.pumping = False

    def sendBody(self, data: bytes) -> None:
        self.body += data

    def endBody(self, trailers: Headers) -> None:
        if self.exchange.state is ExchangeState.SENT:
            self.whole(bytes(self.body))

    def whole(self, body: bytes) -> None:
        exchange = self.exchange
        path = exchange.request.path
        if path == b"/slow":
            reactor.callLater(0.5, self.answer, b"slow")
        elif path == b"/large":
            exchange.response_start(200, b"", [(b"Content-Length", b"%d" % LARGE)], None)
            self.left = LARGE
            self.credit = 65536
            self.pump()
        elif path == b"/cancelled":
            self.answer(b" ".join(b"%d" % each for each in cancelled))
        else:
            self.answer(body or b"OK")

    def answer(self, body: bytes) -> None:
        if self.exchange.state is ExchangeState.SENT:
            self.exchange.response_start(200, b"", [(b"Content-Type", b"text/plain")], body)

    def pump(self) -> None:
        exchange = self.exchange
        while self.credit and self.left and exchange.state is ExchangeState.RESPONDING:
            size = min(self.credit, self.left, 16384)
            self.credit -= size
            self.left -= size
            exchange.response_data(PIECE[:size])
        if not self.left and exchange.state is ExchangeState.RESPONDING:
            exchange.response_end([])

    def cancel(self, error: ProxyError) -> None:
        cancelled.append(int(time.monotonic() * 1000))

    def consumed(self, amount: int) -> None:
        self.credit += amount
        if not self.pumping:
            self.pumping = True
            reactor.callLater(0, self.pump_later)

    def pump_later(self) -> None:
        self.pumping = False
        self.pump()


LARGE = 64 << 20
PIECE = bytes(16384)
cancelled: list[int] = []


@implementer(IDispatcher)
class EchoDispatcher:
    """Answers every exchange."""

    now = staticmethod(time.monotonic)

    def dispatch(self, exchange: Exchange) -> None:
        echo = Echo(exchange)
        exchange.taken(None, echo)  # type: ignore[arg-type]
        if exchange.body is None:
            exchange.resume_request()
        else:
            echo.whole(exchange.body)

    def site_rules(self, request: RequestHead) -> None:
        return None

    def woken(self, exchange: Exchange) -> None:
        pass

    def finished(self, exchange: Exchange) -> None:
        pass


def main() -> None:
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    options = dict(each.split("=") for each in sys.argv[1:] if "=" in each)
    limits = {row.name: parse(row, options[row.name]) for row in TABLE if row.name in options}
    port = int(sys.argv[1]) if len(sys.argv) > 1 and "=" not in sys.argv[1] else 0
    endpoint = TCP4ServerEndpoint(reactor, port, backlog=4096, interface="127.0.0.1")
    factory = Http1Factory(EchoDispatcher(), HttpLimits(**limits))  # type: ignore[arg-type]
    listening = endpoint.listen(factory)
    listening.addCallback(lambda it: print(it.getHost().port, flush=True))
    listening.addErrback(lambda failure: (failure.printTraceback(), reactor.stop()))
    reactor.run()


if __name__ == "__main__":
    main()
