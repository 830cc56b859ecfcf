"""Dialling into a guest through the unix socket of a VMM that emulates vsock.

One connects to the socket that the VMM binds, writes C{CONNECT <port>\\n} and
reads C{OK <number>\\n}; from then on the stream is the guest's. A port on which
nobody in the guest listens ends in the VMM closing the connection.
"""

from __future__ import annotations

import os
import re
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import NoProtocol, TimeoutError
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from .addresses import HybridVsockAddress
from .errors import HandshakeFailed
from .hybrid import DEFAULT_PORT

__all__ = ["HybridVsockClientEndpoint"]

MAX_ANSWER = 32
"""Bytes in the VMM's answer with its newline: C{OK} and 20 digits would be 24."""

_ANSWER = re.compile(rb"OK [0-9]{1,20}\r?\n")


@implementer(IStreamClientEndpoint)
class HybridVsockClientEndpoint:
    """Dials C{port} inside the guest whose VMM has bound C{path}.

    C{timeout}, in seconds, is for the connection and the VMM's answer together.
    """

    def __init__(
        self, reactor: Any, path: str, port: int = DEFAULT_PORT, timeout: float = 30
    ) -> None:
        self._reactor = reactor
        self.address = HybridVsockAddress(os.path.abspath(path), port)
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; fails with C{HandshakeFailed}, or as C{UNIXClientEndpoint} does.

        The protocol is built when the guest's stream is there, not earlier.
        """
        connecting = Deferred.fromCoroutine(self._connect(protocolFactory))
        connecting.addTimeout(self._timeout, self._reactor, self._too_late)
        return connecting

    async def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        endpoint = UNIXClientEndpoint(self._reactor, self.address.path, self._timeout)
        stream = await endpoint.connect(_GuestStreamFactory(protocolFactory, self.address))
        assert isinstance(stream, _GuestStream)
        return await stream.established

    def _too_late(self, result: Any, timeout: float) -> Any:
        if isinstance(result, Failure) and result.check(CancelledError):
            raise TimeoutError(f"{self.address} did not answer within {timeout:g} s")
        return result


class _GuestStream(ProtocolWrapper):
    """Speaks with the VMM, then is the transport of the protocol it was made for."""

    factory: _GuestStreamFactory

    def __init__(self, factory: _GuestStreamFactory) -> None:
        super().__init__(factory, Protocol())  # type: ignore[arg-type]
        self.established: Deferred[IProtocol] = Deferred(lambda _: self._abort())
        self._answer = b""
        self._asking = True

    def makeConnection(self, transport: ITransport) -> None:
        directlyProvides(self, providedBy(transport))
        Protocol.makeConnection(self, transport)
        self.factory.registerProtocol(self)  # type: ignore[no-untyped-call]
        # In one write: cloud-hypervisor has crashed on a line that came in parts.
        transport.write(b"CONNECT %d\n" % (self.factory.guest.port or 0))

    def dataReceived(self, data: bytes) -> None:
        if not self._asking:
            self.wrappedProtocol.dataReceived(data)
            return
        self._answer += data
        end = self._answer.find(b"\n", 0, MAX_ANSWER) + 1
        if not end:
            if len(self._answer) >= MAX_ANSWER:
                self._refuse(f"its answer began {self._answer[:MAX_ANSWER]!r}")
            return
        line, rest, self._answer = self._answer[:end], self._answer[end:], b""
        if _ANSWER.fullmatch(line) is None:
            self._refuse(f"its answer was {line!r}")
            return
        self._establish(rest)

    def _establish(self, rest: bytes) -> None:
        self._asking = False
        protocol = self.factory.wrappedFactory.buildProtocol(self.factory.guest)
        if protocol is None:
            self._abort()
            self._fail(NoProtocol())
            return
        self.wrappedProtocol = protocol
        protocol.makeConnection(self)
        if rest:
            protocol.dataReceived(rest)
        established, self.established = self.established, Deferred()
        established.callback(protocol)

    def _refuse(self, why: str) -> None:
        self._abort()
        self._fail(HandshakeFailed(f"{self.factory.guest}: {why}, not OK and a number"))

    def _abort(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()

    def _fail(self, why: Exception) -> None:
        self._asking = False
        if not self.established.called:
            self.established.errback(Failure(why))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._asking:
            self._fail(HandshakeFailed(f"{self.factory.guest}: closed without an answer"))
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def getPeer(self) -> IAddress:
        return self.factory.guest

    def getHost(self) -> IAddress:
        return HybridVsockAddress(self.factory.guest.path)


class _GuestStreamFactory(WrappingFactory):
    noisy = False

    def __init__(self, wrappedFactory: Any, guest: HybridVsockAddress) -> None:
        super().__init__(wrappedFactory)  # type: ignore[no-untyped-call]
        self.guest = guest

    def buildProtocol(self, addr: IAddress | None) -> _GuestStream:
        return _GuestStream(self)
