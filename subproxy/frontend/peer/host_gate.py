"""
Who is let in between hosts: a connection until it is known who is at the other end.

TLS has verified the certificate by then; who is wanted, the name in it decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from OpenSSL.SSL import Error as OpenSslError
from twisted.internet.interfaces import IHandshakeListener, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.printable import printable
from subproxy.frontend.peer.host_name import HostCertificateError, host_name
from subproxy.frontend.peer.host_tls_broken import HostTlsBroken

HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds that a handshake may take."""

MAX_HANDSHAKES: Final = 128
"""Handshakes with strangers that may be under way at once; each takes some 100 kB."""


@implementer(IHandshakeListener)
class HostGate(Protocol):
    """
    One connection until it is known who is at the other end; then it is what C{admit} makes of it.

    @param admit: is given the name of the host; what speaks with it, None for nobody.
    @param refused: hears why nobody does.
    @param settled: hears once that the handshake is over, well or badly.
    """

    transport: Any

    def __init__(
        self,
        clock: Any,
        admit: Callable[[str], Protocol | None],
        refused: Callable[[str], None],
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        self.inner: Protocol | None = None
        self._settled: Callable[[], None] | None = settled
        self._clock = clock
        self._admit = admit
        self._refused: Callable[[str], None] | None = refused
        self._deadline: Any = None

    def connectionMade(self) -> None:
        """The handshake begins."""
        if ITCPTransport.providedBy(self.transport):
            # What is said in a turn is one write: nothing more is to be waited for.
            self.transport.setTcpNoDelay(True)
        self._deadline = self._clock.callLater(HANDSHAKE_TIMEOUT, self._late)

    def handshakeCompleted(self) -> None:
        """The other end has shown a certificate of our authority."""
        self._deadline.cancel()
        self._settle()
        try:
            name = host_name(self.transport.getPeerCertificate().to_cryptography())
        except HostCertificateError as error:
            self._refuse(str(error))
            return
        inner = self._admit(name)
        if inner is None:
            self._refuse(f"its certificate is that of {printable(name)}")
            return
        self._refused = None
        self.inner = inner
        inner.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """The other end said something."""
        if self.inner is not None:
            self.inner.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._settle()
        if self.inner is not None:
            self.inner.connectionLost(reason)
        elif self._refused is not None:
            refused, self._refused = self._refused, None
            refused(_why(reason))

    def _settle(self) -> None:
        settled, self._settled = self._settled, None
        if settled is not None:
            settled()

    def _late(self) -> None:
        self._refuse("no handshake in time")

    def _refuse(self, reason: str) -> None:
        refused, self._refused = self._refused, None
        if refused is not None:
            refused(reason)
        self.transport.abortConnection()


class HostGateFactory(Factory):
    """
    Makes a L{HostGate} for each connection; see there.

    Where L{MAX_HANDSHAKES} are under way, another one is closed: strangers can dial, too.

    @ivar handshakes: how many are.
    """

    noisy = False

    def __init__(
        self,
        clock: Any,
        admit: Callable[[str], Protocol | None],
        refused: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self.handshakes = 0
        self._admit = admit
        self._refused = refused

    def buildProtocol(self, addr: object) -> HostGate | None:
        """Another host has dialled, or was."""
        if self.handshakes >= MAX_HANDSHAKES:
            self._refused("too many handshakes at once")
            return None
        self.handshakes += 1
        return HostGate(self._clock, self._admit, self._refused, self._settled)

    def _settled(self) -> None:
        self.handshakes -= 1


def _why(reason: Failure) -> str:
    """What went wrong with a handshake, in a few words."""
    if reason.check(HostTlsBroken):
        return f"TLS: {printable(reason.getErrorMessage()) or 'no handshake'}"
    if reason.check(OpenSslError):
        parts = reason.value.args[0] if reason.value is not None and reason.value.args else []
        said = "; ".join(str(part[-1]) for part in parts if part)
        return f"TLS: {printable(said) or 'no handshake'}"
    return printable(reason.getErrorMessage())
