"""Native endpoints, on a stand-in for the socket layer.

The real one is tested inside a guest, by tests/integration/guest_native_checks.py.
"""

from __future__ import annotations

import os
import socket
from errno import (
    EACCES,
    EADDRINUSE,
    EADDRNOTAVAIL,
    ECONNRESET,
    EINPROGRESS,
    EMFILE,
    ENODEV,
    ETIMEDOUT,
)
from typing import Any

from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
    NoProtocol,
    TimeoutError,
)
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from subproxy.endpoints import vsocket
from subproxy.endpoints.addresses import CID_ANY, VsockAddress
from subproxy.endpoints.errors import CannotListenAt
from subproxy.endpoints.native import VsockClientEndpoint, VsockServerEndpoint
from tests.rigs.endpoint_fakes import FakeDialling, FakeListener, FakeStream


class Kept(Protocol):
    lost: Any = None
    received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = reason


class KeptFactory(Factory):
    noisy = False

    def __init__(self) -> None:
        self.made: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        self.made.append(Kept())
        return self.made[-1]


class Unwanting(Factory):
    noisy = False

    def buildProtocol(self, addr: Any) -> Any:
        return None


class VsockServerEndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.listener = FakeListener(CID_ANY, 12345)
        self.addCleanup(self.listener.close)
        self.asked: list[Any] = []
        self.factory = KeptFactory()
        self.patch(vsocket, "listening", self.listening)
        self.observer = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)

    def listening(self, *arguments: Any) -> Any:
        self.asked.append(arguments)
        return self.listener

    def listen(self, **options: Any) -> Any:
        endpoint = VsockServerEndpoint(self.reactor, 12345, **options)
        port: Any = self.successResultOf(endpoint.listen(self.factory))

        def close() -> None:
            port.connectionLost(None)
            for served in self.factory.made:
                if not served.lost:
                    served.transport.connectionLost(_failure())

        self.addCleanup(close)
        return port

    def arrive(self, port: Any, cid: int) -> socket.socket:
        guest = self.listener.arrive(cid, 1024)
        self.addCleanup(guest.close)
        port.doRead()
        return guest

    def test_interface(self) -> None:
        """It is a server endpoint."""
        verifyObject(IStreamServerEndpoint, VsockServerEndpoint(self.reactor, 1))

    def test_listens(self) -> None:
        """Any CID, a backlog of 1024, the kernel's buffer, unless told otherwise."""
        port = self.listen()
        self.assertEqual(self.asked, [(CID_ANY, 12345, 1024, None)])
        self.assertEqual(port.getHost(), VsockAddress(CID_ANY, 12345))
        self.listen(cid=2, backlog=2000, bufferSize=1 << 20)
        self.assertEqual(self.asked[1], (2, 12345, 2000, 1 << 20))

    def test_guest(self) -> None:
        """A guest is served under its CID."""
        port = self.listen()
        guest = self.arrive(port, 10)
        transport = self.factory.made[0].transport
        self.assertEqual(transport.getPeer(), VsockAddress(10, 1024))
        guest.send(b"hello")
        transport.doRead()
        self.assertEqual(self.factory.made[0].received, b"hello")

    def test_hostAddress(self) -> None:
        """Our own end has the CID that was dialled, also when the connection is over."""
        port = self.listen()
        self.arrive(port, 10)
        transport = self.factory.made[0].transport
        self.assertEqual(transport.getHost(), VsockAddress(2, 12345))
        transport.connectionLost(_failure())
        self.assertEqual(transport.getHost(), VsockAddress(2, 12345))

    def test_localCidsAreRefused(self) -> None:
        """The hypervisor, the loopback and the host are no guests: closed, logged with a limit."""
        port = self.listen()
        for cid in (0, 1, 2) * 10:
            self.assertEqual(self.arrive(port, cid).recv(1), b"")
        self.assertEqual(self.factory.made, [])
        lines = [formatEvent(event) for event in self.observer]
        refused = [line for line in lines if "which is no guest" in line]
        self.assertEqual(len(refused), 10)
        self.assertIn("refused VsockAddress(hypervisor, 1024)", refused[0])
        self.arrive(port, 3)
        self.assertEqual(len(self.factory.made), 1)

    def test_localCidsAllowed(self) -> None:
        """An option lets them in."""
        port = self.listen(allowLocal=True)
        for cid in (0, 1, 2):
            self.arrive(port, cid)
        self.assertEqual(len(self.factory.made), 3)

    def test_transportMethods(self) -> None:
        """What TCP has and vsock has not does nothing; keepalive is the socket's."""
        port = self.listen()
        self.arrive(port, 10)
        transport = self.factory.made[0].transport
        transport.setTcpNoDelay(True)
        self.assertFalse(transport.getTcpNoDelay())
        transport.setTcpKeepAlive(True)
        self.assertTrue(transport.getTcpKeepAlive())

    def test_abort(self) -> None:
        """An abort closes the connection."""
        port = self.listen()
        guest = self.arrive(port, 10)
        self.factory.made[0].transport.abortConnection()
        self.reactor.advance(0)
        self.assertEqual(guest.recv(1), b"")
        self.assertTrue(self.factory.made[0].lost)

    def test_errors(self) -> None:
        """Each reason in words."""
        for code, words in (
            (EACCES, "ports below 1024 need a privilege (CAP_NET_BIND_SERVICE)"),
            (EADDRINUSE, "another process listens there"),
            (EADDRNOTAVAIL, "this machine has no such CID"),
            (ENODEV, "this kernel has no vsock transport (module vhost_vsock on a host)"),
            (EMFILE, "too many open files"),
        ):

            def refuse(*_: object, code: int = code) -> None:
                raise OSError(code, os.strerror(code))

            self.patch(vsocket, "listening", refuse)
            endpoint = VsockServerEndpoint(self.reactor, 12345)
            error = self.failureResultOf(endpoint.listen(self.factory), CannotListenAt)
            self.assertEqual(
                error.getErrorMessage(), f"Couldn't listen on vsock port 12345: {words}."
            )


class VsockClientEndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.factory = KeptFactory()
        self.patch(vsocket, "opened", self.opened)
        self.patch(vsocket, "reclaim", self.reclaim)
        self.sizes: list[int | None] = []
        self.results: tuple[int, ...] = (EINPROGRESS, 0)

    def opened(self, bufferSize: int | None) -> FakeDialling:
        self.sizes.append(bufferSize)
        ours, self.theirs = socket.socketpair()
        self.addCleanup(self.theirs.close)
        self.theirs.settimeout(5)
        self.socket = FakeDialling(fileno=ours.detach())
        self.socket.setblocking(False)
        self.socket.results = self.results
        return self.socket

    def reclaim(self, skt: socket.socket) -> FakeStream:
        return FakeStream(fileno=skt.detach())

    def dial(self, factory: Any = None, **options: Any) -> Any:
        endpoint = VsockClientEndpoint(self.reactor, 2, 12345, **options)
        connecting = endpoint.connect(factory or self.factory)
        self.reactor.advance(0)
        return connecting

    def goOn(self) -> None:
        """The socket has become writable."""
        for writer in list(self.reactor.getWriters()):
            if writer.doWrite():
                writer.connectionLost(_failure())

    def test_interface(self) -> None:
        """It is a client endpoint."""
        verifyObject(IStreamClientEndpoint, VsockClientEndpoint(self.reactor, 2, 1))

    def test_connects(self) -> None:
        """The protocol gets its transport, then the Deferred fires; nothing lies between them."""
        connecting = self.dial(bufferSize=4096)
        self.assertNoResult(connecting)
        self.assertEqual(self.sizes, [4096])
        self.goOn()
        protocol = self.successResultOf(connecting)
        self.assertIs(protocol, self.factory.made[0])
        self.assertEqual(self.socket.dialled, (2, 12345))
        transport = protocol.transport
        self.assertEqual(transport.getPeer(), VsockAddress(2, 12345))
        self.assertEqual(transport.getHost(), VsockAddress(3, 5000))
        self.assertEqual(repr(transport), "<VsockClient to VsockAddress(host, 12345)>")
        self.theirs.send(b"hello")
        transport.doRead()
        self.assertEqual(protocol.received, b"hello")
        transport.setTcpNoDelay(True)
        self.assertFalse(transport.getTcpNoDelay())
        transport.abortConnection()
        self.reactor.advance(0)
        self.assertTrue(protocol.lost)
        self.assertEqual(self.theirs.recv(1), b"")

    def test_reclaimsTheSocket(self) -> None:
        """Once connected the socket takes options of any type."""
        connecting = self.dial()
        self.goOn()
        transport = self.successResultOf(connecting).transport
        self.assertIsInstance(transport.socket, FakeStream)
        self.assertNotIsInstance(transport.socket, FakeDialling)
        self.assertEqual(self.socket.fileno(), -1)
        self.assertEqual(transport.fileno(), transport.socket.fileno())
        transport.connectionLost(_failure())

    def test_refused(self) -> None:
        """Vsock's reset on connecting is what everybody calls refused."""
        self.results = (ECONNRESET,)
        error = self.failureResultOf(self.dial(), ConnectionRefusedError)
        self.assertIn("nobody listens, or its backlog is full", str(error.value))

    def test_hangUp(self) -> None:
        """A reactor that takes a refusal for a hang-up does not hide the reason."""
        connecting = self.dial()
        self.patch(FakeDialling, "getsockopt", lambda *_: ECONNRESET)
        for transport in list(self.reactor.getWriters()):
            transport.connectionLost(_failure())
        self.failureResultOf(connecting, ConnectionRefusedError)
        self.assertEqual(self.theirs.recv(1), b"")

    def test_failures(self) -> None:
        """Other errors keep their numbers."""
        for code, kind in ((ENODEV, ConnectError), (ETIMEDOUT, TimeoutError)):
            self.results = (code,)
            error: Any = self.failureResultOf(self.dial(), kind)
            self.assertEqual(error.value.osError, code)

    def test_noSocket(self) -> None:
        """A socket that can't be had is an error of the attempt."""

        def refuse(size: object) -> None:
            raise OSError(EMFILE, "Too many open files")

        self.patch(vsocket, "opened", refuse)
        self.failureResultOf(self.dial(), ConnectBindError)

    def test_timeout(self) -> None:
        """It does not wait for ever."""
        connecting = self.dial(timeout=3)
        self.reactor.advance(2.9)
        self.assertNoResult(connecting)
        self.reactor.advance(0.2)
        self.failureResultOf(connecting, TimeoutError)
        self.assertEqual(self.theirs.recv(1), b"")

    def test_cancel(self) -> None:
        """A connection that is no longer wanted is given up."""
        connecting = self.dial()
        connecting.cancel()
        self.failureResultOf(connecting, ConnectingCancelledError)
        self.assertEqual(self.theirs.recv(1), b"")

    def test_noProtocol(self) -> None:
        """A factory that wants none gets none."""
        connecting = self.dial(Unwanting())
        self.goOn()
        self.failureResultOf(connecting, NoProtocol)
        self.goOn()
        self.assertEqual(self.theirs.recv(1), b"")


class VsocketTests(SynchronousTestCase):
    def test_hasNativeVsock(self) -> None:
        """It is told by the device nodes, without opening anything."""
        here = os.path.join(self.mktempFolder(), "dev")
        os.mkdir(here)
        self.assertFalse(vsocket.has_native_vsock(here))
        os.close(os.open(os.path.join(here, "vhost-vsock"), os.O_CREAT))
        self.assertTrue(vsocket.has_native_vsock(here))

    def mktempFolder(self) -> str:
        import shutil
        import tempfile

        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        return folder

    def test_reclaim(self) -> None:
        """The descriptor stays, its old owner lets go, and options of bytes work."""
        one, two = socket.socketpair()
        self.addCleanup(two.close)
        number = one.fileno()
        again = vsocket.reclaim(one)
        self.addCleanup(again.close)
        self.assertEqual((again.fileno(), one.fileno()), (number, -1))
        again.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def recorded(self, failing: str = "") -> list[Any]:
        """What is asked of the sockets that are made from now on; one call can fail."""
        asked: list[Any] = []

        class Recorder:
            def __init__(self, *arguments: Any, **options: Any) -> None:
                asked.append(("socket", *arguments, *options.values()))

            def __getattr__(self, name: str) -> Any:
                def call(*arguments: Any) -> Any:
                    asked.append((name, *arguments))
                    if name == failing:
                        raise OSError(EADDRINUSE, "Address already in use")
                    return 77 if name == "detach" else None

                return call

        self.patch(vsocket.socket, "socket", Recorder)
        return asked

    def test_bufferMaximumFirst(self) -> None:
        """The maximum is raised before the size, which it would cap."""
        asked = self.recorded()
        vsocket.opened(1 << 20)
        _, family, kind = asked[0]
        self.assertEqual(family, vsocket.AF_VSOCK)
        self.assertTrue(kind & socket.SOCK_NONBLOCK)
        size = 1 << 20
        self.assertEqual(asked[1:], [("setsockopt", 40, 2, size), ("setsockopt", 40, 0, size)])

    def test_listening(self) -> None:
        """Bound as AF_VSOCK, reclaimed once it listens."""
        asked = self.recorded()
        vsocket.listening(CID_ANY, 12345, 1024)
        self.assertEqual(
            asked[1:],
            [
                ("bind", (CID_ANY, 12345)),
                ("listen", 1024),
                ("detach",),
                ("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0, 77),
            ],
        )

    def test_failures(self) -> None:
        """A socket that can't be set up is closed."""
        for failing in ("setsockopt", "bind", "listen"):
            asked = self.recorded(failing)
            self.assertRaises(OSError, vsocket.listening, CID_ANY, 12345, 1024, 4096)
            self.assertEqual(asked[-1], ("close",))


def _failure() -> Any:
    from twisted.internet.main import CONNECTION_DONE
    from twisted.python.failure import Failure

    return Failure(CONNECTION_DONE)
