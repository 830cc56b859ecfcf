"""The HTTP/1.1 frontend as a whole: what makes its connections."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolNegotiationFactory,
    IReactorTime,
)
from twisted.internet.protocol import Factory
from zope.interface import implementer

from subproxy.core.exchange import IDispatcher
from subproxy.core.http.forwarded import Forwarding, Trust
from subproxy.core.http.request_rules import RequestRules
from subproxy.core.http.trace_context import TraceContext
from subproxy.frontend.context import FrontendContext, FrontendStatus, NoLog
from subproxy.frontend.deadlines import Sweeper
from subproxy.frontend.half_close import HalfClose
from subproxy.frontend.http1.framing import RequestValidator
from subproxy.frontend.http1.protocol import Http1Protocol
from subproxy.frontend.http2.connection import Http2Connection
from subproxy.frontend.http2.counts import Http2Counts, IHttp2Counts
from subproxy.frontend.http2.flood import FloodGuard
from subproxy.frontend.http2.hpack import HpackDecoder, IFieldDecoder
from subproxy.frontend.http2.protocol import Http2Protocol
from subproxy.frontend.limits import HttpLimits
from subproxy.frontend.open_connections import OpenConnection, OpenConnections
from subproxy.telemetry.dates import http_date
from subproxy.telemetry.exchange_record import IExchangeLog


@implementer(IProtocolNegotiationFactory)
class Http1Factory(Factory):
    """
    Makes L{Http1Protocol}s.

    @param dispatcher: who answers.
    @param limits: sizes and deadlines.
    @param clock: what calls the sweeper; the reactor if None.
    @param log: where finished exchanges are written down; None for nowhere.
    @param forwarding: what is told of a client, and who is trusted to tell it.
    @param monotonic: the time of deadlines and measurements, in seconds.
    @param wall: the time of day, in seconds since the epoch.
    @param half_close: whether clients may close their half and still get an answer.
    @ivar context: what its connections share.
    @ivar validator: what checks their requests.
    @ivar connections: what is open: each with the protocol that serves it now.
    """

    noisy = False

    def __init__(
        self,
        dispatcher: IDispatcher,
        limits: HttpLimits | None = None,
        clock: IReactorTime | None = None,
        log: IExchangeLog | None = None,
        forwarding: Forwarding | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        half_close: HalfClose = HalfClose.AUTO,
    ) -> None:
        if clock is None:
            from twisted.internet import reactor

            clock = IReactorTime(reactor)
        limits = limits or HttpLimits()
        forwarding = forwarding or Forwarding()
        rules = RequestRules(forwarding)
        self._wall = wall
        self._drained: list[Deferred[None]] = []
        self._sweeper = Sweeper(clock, monotonic, self._tick)
        self.connections = OpenConnections(
            cast(set[OpenConnection], self._sweeper.watched), limits.connections, self._emptied
        )
        self.context = FrontendContext(
            dispatcher,
            limits,
            clock,
            monotonic,
            NoLog() if log is None else log,
            forwarding,
            rules,
            half_close,
            self.connections,
            FrontendStatus(),
        )
        self.validator = RequestValidator(limits, rules)
        self._tick()

    def acceptableProtocols(self) -> list[bytes]:
        """What is spoken over TLS (ALPN)."""
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """The first port listens."""
        self._sweeper.start()

    def stopFactory(self) -> None:
        """No port listens any more; connections that are open keep their deadlines."""
        if not self.connections:
            self._sweeper.stop()

    @property
    def active(self) -> int:
        """How many requests are under way."""
        return self.connections.active

    def buildProtocol(  # type: ignore[override]
        self, addr: IAddress | None
    ) -> IProtocol:
        """The protocol for a new connection."""
        return Http1Protocol(self.context, self.validator)

    def build_http2(
        self, decoder: IFieldDecoder | None = None, counts: IHttp2Counts | None = None
    ) -> Http2Protocol:
        """
        The protocol for a new connection whose client speaks HTTP/2.

        @param decoder: reads its fields; None for the reference, which is slow.
        @param counts: its numbers, where somebody else changes them too.
        """
        context = self.context
        guard = FloodGuard(context.floods)
        connection = Http2Connection(
            decoder or HpackDecoder(),
            counts or Http2Counts(),
            guard,
            context.limits.head,
            context.limits.fields,
        )
        return Http2Protocol(context, connection, guard)

    def set_limits(self, limits: HttpLimits) -> None:
        """
        Serve by C{limits} from now on, also who is connected; deadlines that run stay.

        What the kernel keeps for a client is said to it when it is listened, so not here.
        """
        self.context.limits = limits
        self.validator.limits = limits
        self.connections.limit = limits.connections

    def set_trust(self, trust: Trust) -> None:
        """Believe what C{trust} has, of clients that connect from now on."""
        self.context.forwarding.trust = trust

    def set_traces(self, traces: TraceContext | None) -> None:
        """Follow traces by C{traces} from now on; None: follow none."""
        self.context.rules.traces = traces

    def last_answers(self) -> None:
        """Let every answer from now on be its connection's last; idle ones may still ask."""
        self.context.status.draining = True

    def drain(self) -> Deferred[None]:
        """
        Close idle connections now and the others behind their answers.

        @return: fires when there are none.
        """
        self.last_answers()
        for connection in self.connections:
            connection.close_if_idle()
        if not self.connections:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._drained.append(done)
        return done

    def close(self) -> None:
        """Close every connection at once."""
        for connection in self.connections:
            connection.abort()

    def _emptied(self) -> None:
        """The last connection is gone."""
        if self.numPorts == 0:
            self._sweeper.stop()
        drained, self._drained = self._drained, []
        for done in drained:
            done.callback(None)

    def _tick(self) -> None:
        """A sweep begins."""
        self.context.status.date = http_date(self._wall())
