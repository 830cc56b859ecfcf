"""The HTTP/1.1 frontend with the compiled path before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from twisted.internet.interfaces import IAddress, IProtocol

from subproxy.core.http.forwarded import Trust
from subproxy.core.http.trace_context import TraceContext
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.limits import HttpLimits
from subproxy.frontend.open_connections import OpenConnection
from subproxy.telemetry.access_log import AccessLog
from subproxy.telemetry.counters import Counters

if TYPE_CHECKING:
    from subproxy.fastpath._connection import FastPath


class FastHttp1Factory(Http1Factory):
    """
    Makes L{FastConnection}s, once it has the compiled path; until then L{Http1Protocol}s.

    @ivar fastpath: the compiled path, if it is used.
    """

    fastpath: FastPath | None = None

    def logPrefix(self) -> str:
        """What the log calls it: the same with and without the compiled path."""
        return Http1Factory.__name__

    def use_fastpath(self, log: AccessLog | None, counters: Counters | None) -> FastPath:
        """
        Serve what comes from now on by the compiled path, which writes and counts by itself.

        @raise ImportError: it is not there.
        """
        from subproxy.fastpath._connection import FastPath

        self.fastpath = FastPath(self, log, counters)
        return self.fastpath

    def acceptableProtocols(self) -> list[bytes]:
        """What is spoken over TLS (ALPN): a client of HTTP/2 is known by its preface."""
        spoken = super().acceptableProtocols()
        return [b"h2", *spoken] if self.speaks_http2 else spoken

    @property
    def speaks_http2(self) -> bool:
        """Whether clients may speak HTTP/2."""
        return self.fastpath is not None and self.fastpath.http2

    def buildProtocol(  # type: ignore[override]
        self, addr: IAddress | None
    ) -> IProtocol:
        """The protocol for a new connection."""
        if self.fastpath is None:
            return super().buildProtocol(addr)
        return cast(IProtocol, self.fastpath.front())

    def closed(self, connection: OpenConnection) -> None:
        """A connection is gone: the compiled path tells."""
        self.connections.closed(connection)

    def set_limits(self, limits: HttpLimits) -> None:
        """Serve by C{limits} from now on."""
        super().set_limits(limits)
        if self.fastpath is not None:
            self.fastpath.set_limits(limits)

    def set_trust(self, trust: Trust) -> None:
        """Believe what C{trust} has, of clients that connect from now on."""
        super().set_trust(trust)
        if self.fastpath is not None:
            self.fastpath.forget_clients()

    def set_traces(self, traces: TraceContext | None) -> None:
        """Follow traces by C{traces} from now on; None: follow none."""
        super().set_traces(traces)
        if self.fastpath is not None:
            self.fastpath.set_traces(traces)

    def last_answers(self) -> None:
        """Let every answer from now on be its connection's last; idle ones may still ask."""
        super().last_answers()
        if self.fastpath is not None:
            self.fastpath.draining = True

    def _tick(self) -> None:
        super()._tick()
        if self.fastpath is not None:
            self.fastpath.date = self.context.status.date
