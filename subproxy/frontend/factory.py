"""The HTTP/1.1 frontend as a whole: what its connections share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory, IReactorTime
from twisted.internet.protocol import Factory
from zope.interface import implementer

from subproxy.core.exchange import Exchange, IDispatcher, IExchangeLog
from subproxy.core.http.forwarded import Forwarding
from subproxy.frontend.deadlines import HasDeadline, Sweeper
from subproxy.frontend.half_close import HalfClose
from subproxy.frontend.http1.protocol import Http1Protocol
from subproxy.frontend.http1.request_validator import RequestValidator
from subproxy.frontend.limits import HttpLimits
from subproxy.telemetry.dates import http_date

if TYPE_CHECKING:
    from subproxy.fastpath._connection import FastConnection, FastPath


class OpenConnection(HasDeadline, Protocol):
    """
    A client's connection, whatever serves it now.

    @ivar busy: a request is under way.
    """

    @property
    def busy(self) -> bool:
        """See above."""

    def close_if_idle(self) -> None:
        """Close it if no request is under way; else it closes behind its answer."""

    def abort(self) -> None:
        """Close it at once, with a reset."""


@implementer(IExchangeLog)
class NoLog:
    """Writes nothing down."""

    def exchangeEnded(self, exchange: Exchange) -> None:
        """Forget it."""


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
    @ivar draining: no connection stays open behind its answer.
    @ivar date: the time of day for C{Date}, at most half a second old.
    @ivar fastpath: the compiled path, if it is used.
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
        self.dispatcher = dispatcher
        self.log = NoLog() if log is None else log
        self.limits = limits or HttpLimits()
        self.forwarding = forwarding or Forwarding()
        self.validator = RequestValidator(self.limits, self.forwarding)
        self.clock = clock
        self.monotonic = monotonic
        self.half_close = half_close
        self._draining = False
        self.fastpath: FastPath | None = None
        self._wall = wall
        self._drained: list[Deferred[None]] = []
        self._sweeper = Sweeper(clock, monotonic, self._tick)
        self.connections: set[OpenConnection] = self._sweeper.watched  # type: ignore[assignment]
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
    def draining(self) -> bool:
        """See above."""
        return self._draining

    @draining.setter
    def draining(self, draining: bool) -> None:
        self._draining = draining
        if self.fastpath is not None:
            self.fastpath.draining = draining

    @property
    def active(self) -> int:
        """How many requests are under way."""
        return sum(connection.busy for connection in self.connections)

    def buildProtocol(  # type: ignore[override]
        self, addr: IAddress | None
    ) -> Http1Protocol | FastConnection:
        """The protocol for a new connection."""
        if self.fastpath is not None:
            return self.fastpath.front()
        return Http1Protocol(self)

    def last_answers(self) -> None:
        """Let every answer from now on be its connection's last; idle ones may still ask."""
        self.draining = True

    def drain(self) -> Deferred[None]:
        """
        Close idle connections now and the others behind their answers.

        @return: fires when there are none.
        """
        self.last_answers()
        for connection in list(self.connections):
            connection.close_if_idle()
        if not self.connections:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._drained.append(done)
        return done

    def close(self) -> None:
        """Close every connection at once."""
        for connection in list(self.connections):
            connection.abort()

    def opened(self, connection: OpenConnection) -> bool:
        """A client connected; False if it is one too many."""
        if self.limits.connections and len(self.connections) >= self.limits.connections:
            return False
        self.connections.add(connection)
        return True

    def closed(self, connection: OpenConnection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if not self.connections:
            if self.numPorts == 0:
                self._sweeper.stop()
            drained, self._drained = self._drained, []
            for done in drained:
                done.callback(None)

    def _tick(self) -> None:
        self.date = http_date(self._wall())
        if self.fastpath is not None:
            self.fastpath.date = self.date
