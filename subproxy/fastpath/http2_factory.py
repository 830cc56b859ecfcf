"""What makes connections of clients that have agreed upon HTTP/2: by ALPN, over TLS."""

from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import IAddress, IProtocol
from twisted.internet.protocol import Factory

from subproxy.fastpath.http1_factory import FastHttp1Factory

HTTP_2 = b"h2"
"""Its name in ALPN."""


class FastHttp2Factory(Factory):
    """
    Makes connections that speak HTTP/2 from their first byte on.

    @param http: the frontend, which has the compiled path.
    """

    noisy = False

    def __init__(self, http: FastHttp1Factory) -> None:
        self.http = http

    def buildProtocol(  # type: ignore[override]
        self, addr: IAddress | None
    ) -> IProtocol:
        """The protocol for a new connection."""
        assert self.http.fastpath is not None
        return cast(IProtocol, self.http.fastpath.front(True))
