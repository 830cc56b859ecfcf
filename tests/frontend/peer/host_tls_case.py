"""Two ends of a connection between hosts in memory, each by an engine of TLS of its own."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from subproxy.frontend.peer.host_certificates import HostCertificates
from subproxy.frontend.peer.host_gate import HostGateFactory
from subproxy.frontend.peer.host_tls import HostTlsEngine, TwistedHostTls
from subproxy.frontend.tls.interfaces import LibraryUnavailable
from tests.rigs.tls_rig import Authority


def twisted_engine() -> HostTlsEngine:
    """The reference."""
    return TwistedHostTls()


def compiled_engine() -> HostTlsEngine:
    """The compiled one, where there is one."""
    try:
        from subproxy.frontend.peer.compiled_host_tls import CompiledHostTls

        return CompiledHostTls()
    except (ImportError, LibraryUnavailable) as error:
        raise SkipTest(str(error)) from None


def available() -> list[Callable[[], HostTlsEngine]]:
    """What makes an engine that there is here, the reference first."""
    try:
        compiled_engine()
    except SkipTest:
        return [twisted_engine]
    return [twisted_engine, compiled_engine]


ENGINES = available()


class HostTransport(StringTransport):
    """A socket's transport that counts its writes, and tells its protocol once that it is gone."""

    protocol: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.aborted = False
        self.gone = False

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def take(self) -> bytes:
        said = self.value()
        self.clear()
        return said

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def lose(self, reason: Any = None) -> None:
        """It is gone."""
        if not self.gone:
            self.gone = True
            self.connected = False
            self.protocol.connectionLost(Failure(reason or ConnectionDone()))


class HostProtocol(Protocol):
    """
    What speaks behind the gate.

    @ivar heard: all that came.
    @ivar ends: why it ended, once it did.
    """

    transport: Any

    def __init__(self) -> None:
        self.heard = b""
        self.ends: list[str] = []

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        self.ends.append(reason.type.__name__)


class HostEnd:
    """
    One end.

    @param wanted: the name of the host that may be at the other end.
    @ivar admitted: the names of those who were let in, or would have been.
    @ivar refused: why somebody was not.
    @ivar inner: what speaks with it.
    """

    def __init__(self, clock: Clock, files: tuple[str, str], engine: Any, wanted: str) -> None:
        self.certificates = HostCertificates(*files, engine)
        self.admitted: list[str] = []
        self.refused: list[str] = []
        self.inner = HostProtocol()
        self.gates = HostGateFactory(clock, self.admit, self.refused.append)
        self.transport = HostTransport()
        self.clock = clock
        self.wanted = wanted

    def admit(self, name: str) -> Any:
        self.admitted.append(name)
        return self.inner if name == self.wanted else None

    def begin(self, called: bytes | None) -> None:
        """Be dialled, or dial whom that names."""
        if called is None:
            factory = self.certificates.server(self.gates, self.clock)
        else:
            factory = self.certificates.client(self.gates, self.clock, called)
        protocol = self.transport.protocol = factory.buildProtocol(None)
        protocol.makeConnection(self.transport)

    def again(self) -> None:
        """Be dialled once more."""
        self.inner, self.transport = HostProtocol(), HostTransport()
        self.begin(None)

    @property
    def speaks(self) -> bool:
        """Whether somebody was let in."""
        return self.inner.transport is not None


class HostLine:
    """
    A host that dials another one, and what moves between them.

    @ivar one: who dials.
    @ivar two: who is dialled.
    """

    def __init__(
        self,
        one: tuple[tuple[str, str], Any],
        two: tuple[tuple[str, str], Any],
        wanted: tuple[str, str] = ("kvm-2", "kvm-1"),
        called: bytes = b"process-0.kvm-2",
    ) -> None:
        self.clock = Clock()
        self.one = HostEnd(self.clock, *one, wanted[0])
        self.two = HostEnd(self.clock, *two, wanted[1])
        self.two.begin(None)
        self.one.begin(called)

    def pump(self) -> None:
        """Move all until nothing moves, and close what was closed."""
        ends = (self.one, self.two)
        while True:
            self.clock.advance(0)
            moved = False
            for end, other in (ends, ends[::-1]):
                said = end.transport.take()
                if said:
                    moved = True
                    if not other.transport.gone:
                        other.transport.protocol.dataReceived(said)
            if not moved:
                break
        for end, other in (ends, ends[::-1]):
            if end.transport.disconnecting and not end.transport.gone:
                end.transport.lose()
                other.transport.lose()


def host_files(
    folder: str,
    authority: Authority,
    pem: bytes,
    name: str = "host",
) -> tuple[str, str]:
    """The paths of a host's certificate C{pem}, and of the authority that it believes."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    own, ca = path / f"{name}.pem", path / f"{name}-ca.pem"
    own.write_bytes(pem)
    ca.write_bytes(authority.pem)
    return os.fspath(own), os.fspath(ca)


class OtherClient:
    """A client of Python's C{ssl}, which may show and speak what no host of ours would."""

    def __init__(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
        context.check_hostname = False
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, session=session)

    def meet(self, end: HostEnd) -> bytes:
        """Shake hands with C{end}, and what it says then."""
        heard = b""
        for _ in range(6):
            try:
                self.tls.do_handshake()
                heard += self.tls.read(4096)
            except ssl.SSLWantReadError:
                pass
            said = self._out.read()
            if said and not end.transport.disconnecting:
                end.transport.protocol.dataReceived(said)
            self._in.write(end.transport.take())
        return heard
