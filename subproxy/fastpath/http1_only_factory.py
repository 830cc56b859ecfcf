"""What makes connections of clients that speak HTTP/1.1, and never HTTP/2, on a compiled path."""

from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import IAddress, IProtocol, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory
from zope.interface import implementer

from subproxy.fastpath.http1_factory import FastHttp1Factory
from subproxy.frontend.factory import Http1Factory


@implementer(IProtocolNegotiationFactory)
class Http1OnlyFactory(Factory):
    """
    As a L{FastHttp1Factory}, but who begins with the preface of HTTP/2 gets 505.

    @param http: the frontend, which has the compiled path.
    """

    noisy = False

    def __init__(self, http: FastHttp1Factory) -> None:
        self.http = http

    def startFactory(self) -> None:
        """The frontend is listened for."""
        self.http.doStart()  # type: ignore[no-untyped-call]

    def stopFactory(self) -> None:
        """It is no more."""
        self.http.doStop()  # type: ignore[no-untyped-call]

    def acceptableProtocols(self) -> list[bytes]:
        """What is spoken over TLS (ALPN)."""
        return [b"http/1.1"]

    def buildProtocol(  # type: ignore[override]
        self, addr: IAddress | None
    ) -> IProtocol:
        """The protocol for a new connection."""
        assert self.http.fastpath is not None
        return cast(IProtocol, self.http.fastpath.front(prior=False))


def http1_only(http: Http1Factory) -> Http1Factory | Http1OnlyFactory:
    """What makes connections of C{http} on which HTTP/2 is not spoken."""
    if isinstance(http, FastHttp1Factory) and http.speaks_http2:
        return Http1OnlyFactory(http)
    return http
