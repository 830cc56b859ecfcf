"""A UNIX socket for its owner alone: where operators reach the proxy."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

from .errors import CannotListenAt
from .server_endpoint import server_endpoint

__all__ = ["PrivateUnixEndpoint"]


@implementer(IStreamServerEndpoint)
class PrivateUnixEndpoint:
    """Listens on a UNIX socket of mode 0600; or of another, if C{unix:PATH:mode=...} says so.

    Twisted sets the mode after the socket is there; the umask sees to it that it was never
    wider. Its lock file tells a live owner, which is an error, from one that was killed.
    """

    def __init__(self, reactor: Any, where: str) -> None:
        """Take a path, or an endpoint string; raises C{ValueError} if it is none."""
        self._endpoint: Any
        self._path = where
        if not where.startswith("unix:"):
            self._endpoint = UNIXServerEndpoint(reactor, where, mode=0o600, wantPID=True)
        else:
            more = "" if ":mode=" in where else ":mode=600"
            self._endpoint = server_endpoint(reactor, where + more)
            self._path = self._endpoint._address

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; the Deferred has fired on return. Fails with C{CannotListenError}."""
        folder = os.path.dirname(os.path.abspath(self._path))
        if not os.path.isdir(folder):
            return fail(CannotListenAt(self._path, f"there is no folder {folder}"))
        before = os.umask(0o177)
        try:
            listening: Deferred[IListeningPort] = self._endpoint.listen(protocolFactory)
            return listening
        finally:
            os.umask(before)
