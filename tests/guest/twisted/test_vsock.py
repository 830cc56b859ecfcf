"""
Tests for L{guest.twisted.vsock}: the sockets are of another family, all else is as in a guest.

(The real family is tested in virtual machines: tests/integration/test_vm_guest.py.)
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.error import ConnectError, UserError
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from guest.twisted.vsock import AF_VSOCK, VsockAddress, VsockClientEndpoint, parse_vsock


class ParseTests(SynchronousTestCase):
    """Descriptions of endpoints."""

    def test_addresses(self) -> None:
        self.assertEqual(parse_vsock("vsock:2:12345"), VsockAddress(2, 12345))
        self.assertEqual(parse_vsock("vsock:12345"), VsockAddress(2, 12345))
        self.assertEqual(str(VsockAddress(2, 12345)), "vsock:2:12345")
        verifyObject(IAddress, VsockAddress(2, 12345))

    def test_other_endpoints(self) -> None:
        for description in ("tcp:localhost:80", "unix:/vsock:2", "vsocks:2:1", ""):
            self.assertIsNone(parse_vsock(description))

    def test_malformed(self) -> None:
        for description in ("vsock:", "vsock:a:1", "vsock:2:", "vsock:2:1:3", "vsock:-1:2"):
            self.assertRaises(ValueError, parse_vsock, description)
        self.assertRaises(ValueError, parse_vsock, f"vsock:{2**32}:1")

    def test_the_family(self) -> None:
        self.assertEqual(AF_VSOCK, 40)


class Other(socket.socket):
    """A socket that takes (cid, port), and connects to C{path}."""

    path = ""

    def connect_ex(self, address: Any) -> int:
        assert address == (2, 12345)
        return super().connect_ex(self.path)


class Recorder(Protocol):
    """Remembers what came."""

    def __init__(self) -> None:
        self.received = b""
        self.gone: Deferred[Any] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if data == b"ping":
            self.transport.write(b"pong")  # type: ignore[union-attr]
        else:
            self.transport.loseConnection()  # type: ignore[union-attr]

    def connectionLost(self, reason: Any = None) -> None:
        self.gone.callback(type(reason.value))


class EndpointTests(TestCase):
    """A connection that was dialled."""

    def setUp(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.path = f"{folder}/s"

    def endpoint(self, **options: Any) -> VsockClientEndpoint:
        def opener() -> socket.socket:
            opened = Other(socket.AF_UNIX, socket.SOCK_STREAM)
            opened.path = self.path
            return opened

        return VsockClientEndpoint(reactor, 2, 12345, **{"opener": opener, **options})

    @inlineCallbacks
    def listen(self) -> Any:
        self.servers: list[Recorder] = []

        def built() -> Recorder:
            self.servers.append(Recorder())
            return self.servers[-1]

        port = yield UNIXServerEndpoint(reactor, self.path).listen(
            Factory.forProtocol(built)  # type: ignore[arg-type]
        )
        self.addCleanup(port.stopListening)

    @inlineCallbacks
    def test_bytes_go_both_ways(self) -> Any:
        yield self.listen()
        verifyObject(IStreamClientEndpoint, self.endpoint())
        protocol = yield self.endpoint().connect(Factory.forProtocol(Recorder))
        self.assertEqual(protocol.transport.getPeer(), VsockAddress(2, 12345))
        protocol.transport.write(b"ping")
        yield protocol.gone
        self.assertEqual(protocol.received, b"pong")
        yield self.servers[0].gone
        self.assertEqual(self.servers[0].received, b"ping")

    @inlineCallbacks
    def test_abort_closes(self) -> Any:
        """Twisted sets a socket option as bytes for this."""
        yield self.listen()
        protocol = yield self.endpoint().connect(Factory.forProtocol(Recorder))
        protocol.transport.abortConnection()
        yield protocol.gone
        yield self.servers[0].gone

    @inlineCallbacks
    def test_nobody_listens(self) -> Any:
        connecting = self.endpoint().connect(Factory.forProtocol(Recorder))
        yield self.assertFailure(connecting, ConnectError)

    @inlineCallbacks
    def test_a_kernel_without_vsock(self) -> Any:
        def opener() -> socket.socket:
            raise OSError(97, "Address family not supported by protocol")

        connecting = self.endpoint(opener=opener).connect(Factory.forProtocol(Recorder))
        error = yield self.assertFailure(connecting, ConnectError)
        self.assertIn("97", str(error))

    @inlineCallbacks
    def test_a_dial_that_times_out(self) -> Any:
        """The kernel's reason is told, on one line, though epoll only says that it is over."""

        class Late(Other):
            asked = 0

            def connect_ex(self, address: Any) -> int:
                return 115

            def getsockopt(self, *arguments: Any) -> Any:
                self.asked += 1
                return 110 if self.asked > 1 else 0  # Twisted asks before it dials, too

        # A socket that is not connected hangs up at once, as a vsock one does in the end.
        connecting = self.endpoint(opener=lambda: Late(socket.AF_UNIX, socket.SOCK_STREAM)).connect(
            Factory.forProtocol(Recorder)
        )
        error = yield self.assertFailure(connecting, ConnectError)
        self.assertEqual(error.osError, 110)
        self.assertNotIn("\n", str(error))
        self.assertIn("110", str(error))

    @inlineCallbacks
    def test_dialling_can_be_cancelled(self) -> Any:
        class Slow(Other):
            def connect_ex(self, address: Any) -> int:
                return 115

        connecting = self.endpoint(opener=lambda: Slow(socket.AF_UNIX, socket.SOCK_STREAM)).connect(
            Factory.forProtocol(Recorder)
        )
        connecting.cancel()
        yield self.assertFailure(connecting, UserError)

    def test_text(self) -> None:
        self.assertEqual(repr(self.endpoint()), "<VsockClientEndpoint vsock:2:12345>")
        self.assertNotEqual(VsockAddress(2, 1), UNIXAddress(b"x"))
