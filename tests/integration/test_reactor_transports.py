"""TCP and UNIX transports on the ring: what Twisted's own have, by the same names."""

from __future__ import annotations

import array
import os
import shutil
import socket
import tempfile
from errno import ECONNABORTED, EMFILE, ENFILE, EPERM
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import UnsupportedAddressFamily
from twisted.internet.interfaces import (
    IFileDescriptorReceiver,
    IReactorFDSet,
    IReactorSocket,
    IReactorTCP,
    IReactorUNIX,
    ITCPTransport,
)
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.logger import formatEvent, globalLogPublisher
from zope.interface import implementer
from zope.interface.verify import verifyObject

from subproxy.reactor import tcp
from tests.integration.reactor_harness import (
    DEADLINE,
    Keeper,
    ReactorTestCase,
    Recorder,
    drained,
    on_epoll_too,
    reset,
)


class Dialler(ClientFactory):
    """Keeps the protocol that it builds, or why there is none."""

    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self.built = protocol
        self.failed: Any = None

    def buildProtocol(self, addr: Any) -> Protocol:
        return self.built

    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        self.failed = reason


@implementer(IFileDescriptorReceiver)
class DescriptorTaker(Recorder):
    """Is given descriptors."""

    def __init__(self) -> None:
        super().__init__()
        self.descriptors: list[int] = []

    def fileDescriptorReceived(self, descriptor: int) -> None:
        self.descriptors.append(descriptor)


class TCPTests(ReactorTestCase):
    def test_interfaces(self) -> None:
        for interface in IReactorTCP, IReactorUNIX, IReactorSocket, IReactorFDSet:
            verifyObject(interface, self.reactor)
        protocol, _ = self.pair()
        verifyObject(ITCPTransport, protocol.transport)

    def test_options(self) -> None:
        protocol, _ = self.pair()
        transport = protocol.transport
        for enabled in True, False:
            transport.setTcpNoDelay(enabled)
            self.assertIs(transport.getTcpNoDelay(), enabled)
            transport.setTcpKeepAlive(enabled)
            self.assertIs(transport.getTcpKeepAlive(), enabled)

    def test_an_option_that_the_kernel_refuses_is_logged(self) -> None:
        """The connection can do without it."""
        ours, peer = socket.socketpair()
        self.addCleanup(peer.close)
        protocol = Recorder()
        transport = tcp.Server(ours, protocol, ("127.0.0.1", 1), None, 0, self.reactor)
        protocol.makeConnection(transport)
        transport.setTcpNoDelay(True)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_names(self) -> None:
        """As Twisted's have them, in its log and elsewhere."""
        port = self.listen()
        protocol, peer = self.pair(port=port)
        transport = protocol.transport
        self.assertEqual(transport.getPeer(), IPv4Address("TCP", *peer.getsockname()))
        self.assertEqual(transport.getHost(), IPv4Address("TCP", *peer.getpeername()))
        self.assertEqual(transport.client, peer.getsockname())
        number = port.getHost().port
        self.assertEqual(repr(transport), f"<Recorder #0 on {number}>")
        self.assertEqual(transport.logPrefix(), "Recorder,0,127.0.0.1")

    def test_ipv6(self) -> None:
        port = self.reactor.listenTCP(0, Keeper(), interface="::1")
        peer = socket.create_connection(("::1", port.getHost().port), DEADLINE)
        self.addCleanup(peer.close)
        self.spin(lambda: port.factory.built)
        transport = port.factory.built[0].transport
        self.assertEqual(transport.getPeer(), IPv6Address("TCP", *peer.getsockname()))
        self.assertEqual(transport.getHost(), IPv6Address("TCP", *peer.getpeername()))
        peer.sendall(b"six")
        self.spin(lambda: port.factory.built[0].data == b"six")

    def test_dialled(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            dialler = Dialler(Recorder())
            self.reactor.connectTCP(*listener.getsockname(), dialler)
            self.spin(lambda: dialler.built.transport)
            peer, _ = listener.accept()
            self.addCleanup(peer.close)
        transport = dialler.built.transport
        self.assertEqual(transport.getHost(), IPv4Address("TCP", *peer.getpeername()))
        peer.sendall(b"hello")
        self.spin(lambda: dialler.built.data == b"hello")
        transport.write(b"answer")
        self.turns(1)
        self.assertEqual(drained(peer, 6), b"answer")
        reset(peer)
        self.spin(lambda: dialler.built.lost)

    def test_refused(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            name = closed.getsockname()
        dialler = Dialler(Recorder())
        self.reactor.connectTCP(*name, dialler)
        self.spin(lambda: dialler.failed)
        self.assertIsNone(dialler.built.transport)

    def test_adopted(self) -> None:
        """A connection, and a port, that somebody else made."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            peer = socket.create_connection(listener.getsockname())
            self.addCleanup(peer.close)
            ours, _ = listener.accept()
            keeper = Keeper()
            with ours:
                self.reactor.adoptStreamConnection(ours.fileno(), socket.AF_INET, keeper)
            port = self.reactor.adoptStreamPort(listener.fileno(), socket.AF_INET, keeper)
        peer.sendall(b"hello")
        (protocol,) = keeper.built
        self.spin(lambda: protocol.data == b"hello")
        self.assertEqual(protocol.transport.getPeer(), IPv4Address("TCP", *peer.getsockname()))
        self.dial(port)
        self.spin(lambda: len(keeper.built) == 2)
        for adopt in self.reactor.adoptStreamConnection, self.reactor.adoptStreamPort:
            self.assertRaises(UnsupportedAddressFamily, adopt, 0, socket.AF_PACKET, keeper)

    def test_a_protocol_that_cannot_be_built(self) -> None:
        """Its connection is closed, and the next one is served."""
        answers: list[Any] = [None, RuntimeError("on purpose")]

        class Choosy(Keeper):
            def buildProtocol(self, addr: Any) -> Any:
                if not answers:
                    return super().buildProtocol(addr)
                answer = answers.pop(0)
                if answer is not None:
                    raise answer
                return None

        for family in "127.0.0.1", "::1":
            answers[:] = [None, RuntimeError("on purpose")]
            port = self.reactor.listenTCP(0, Choosy(), interface=family)
            where = (family, port.getHost().port)
            for left in 1, 0:
                peer = socket.create_connection(where, DEADLINE)
                self.addCleanup(peer.close)
                self.spin(lambda left=left: len(answers) == left)
                self.assertEqual(peer.recv(1), b"")
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
            peer = socket.create_connection(where, DEADLINE)
            self.addCleanup(peer.close)
            self.spin(lambda port=port: port.factory.built)

    def test_other_failures_of_accept_are_logged(self) -> None:
        """But not that a client has left again."""
        lines: list[str] = []
        port = self.listen()

        def observe(event: Any) -> None:
            lines.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        port.accept_failed(ECONNABORTED)
        self.assertEqual(lines, [])
        port.accept_failed(EPERM)
        self.assertEqual(lines, [f"Could not accept new connection ({os.strerror(EPERM)})"])

    def test_no_descriptor_is_free(self) -> None:
        """For a while it accepts by readiness, and then by the ring again."""
        self.patch(tcp, "EXHAUSTED_PAUSE", 0.2)
        port = self.listen()
        for code in EMFILE, ENFILE:
            port.accept_failed(code)
        self.pair(port=port)
        self.assertIsNotNone(port._exhausted)
        self.spin(lambda: port._exhausted is None)
        self.pair(port=port)
        port.accept_failed(EMFILE)
        port.stopReading()
        self.assertIsNone(port._exhausted)
        port.startReading()
        self.pair(port=port)
        port.accept_failed(EMFILE)
        port.retire()
        self.assertIsNone(port._exhausted)
        port.socket.close()  # who retires a port has that to do

    def test_who_left_while_he_was_accepted(self) -> None:
        """A descriptor that is connected no more is closed."""
        port = self.listen()
        left = socket.socket()
        port.descriptor_accepted(left.detach())
        self.assertEqual(port.factory.built, [])

    def test_stopped_and_started_again(self) -> None:
        port = self.listen()
        self.pair(port=port)
        port.pauseProducing()
        self.turns(2)
        peer = self.dial(port)
        self.turns(3)
        self.assertEqual(len(port.factory.built), 1)
        port.resumeProducing()
        self.spin(lambda: len(port.factory.built) == 2)
        peer.sendall(b"x")
        self.spin(lambda: port.factory.built[1].data == b"x")

    def test_what_is_watched(self) -> None:
        """The reactor tells of what is on the ring too, and lets go of it."""
        port = self.listen()
        protocol, _ = self.pair(port=port)
        transport = protocol.transport
        self.assertIn(transport, self.reactor.getReaders())
        self.assertNotIn(transport, self.reactor.getWriters())
        removed = self.reactor.removeAll()
        self.assertIn(transport, removed)
        self.assertNotIn(transport, self.reactor.getReaders())
        transport.abortConnection()
        stopped: list[Any] = []
        port.stopListening().addCallback(stopped.append)
        self.spin(lambda: stopped and protocol.lost)


class UNIXTests(ReactorTestCase):
    def setUp(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        super().setUp()  # its reactor unlinks what it has bound
        self.path = os.path.join(folder, "socket")

    def joined(self, server: Any = Recorder, client: Any = Recorder) -> tuple[Any, Any]:
        """Two protocols of the reactor's, at both ends of one connection."""
        keeper = Keeper(server)
        self.reactor.listenUNIX(self.path, keeper)
        dialler = Dialler(client())
        self.reactor.connectUNIX(self.path, dialler)
        self.spin(lambda: keeper.built and dialler.built.transport)
        return keeper.built[0], dialler.built

    def test_both_ways(self) -> None:
        server, client = self.joined()
        client.transport.write(b"hello")
        self.spin(lambda: server.data == b"hello")
        server.transport.write(b"answer")
        self.spin(lambda: client.data == b"answer")
        self.assertEqual(server.transport.getHost(), UNIXAddress(self.path.encode()))
        self.assertEqual(client.transport.getPeer(), UNIXAddress(self.path))
        client.transport.loseConnection()
        self.spin(lambda: server.lost)

    def test_there_is_no_delay_to_switch_off(self) -> None:
        for each in self.joined():
            each.transport.setTcpNoDelay(True)
            self.assertFalse(each.transport.getTcpNoDelay())

    def test_nobody_listens(self) -> None:
        dialler = Dialler(Recorder())
        self.reactor.connectUNIX(self.path, dialler)
        self.spin(lambda: dialler.failed)

    def test_descriptors(self) -> None:
        """They are passed, either way, to who takes them, with the bytes round them."""
        for taker in "server", "client":
            classes = (
                (DescriptorTaker, Recorder) if taker == "server" else (Recorder, DescriptorTaker)
            )
            self.path += "x"
            server, client = self.joined(*classes)
            takes, sends = (server, client) if taker == "server" else (client, server)
            reading, writing = os.pipe()
            sends.transport.write(b"before")
            sends.transport.sendFileDescriptor(writing)
            sends.transport.write(b"after")
            self.spin(lambda takes=takes: takes.data == b"beforeafter")
            os.close(writing)
            (passed,) = takes.descriptors
            os.write(passed, b"through")
            os.close(passed)
            self.assertEqual(os.read(reading, 100), b"through")
            os.close(reading)

    def test_adopted(self) -> None:
        for build in Recorder, DescriptorTaker:
            ours, peer = socket.socketpair()
            self.addCleanup(peer.close)
            keeper = Keeper(build)
            with ours:
                transport = self.reactor.adoptStreamConnection(
                    ours.fileno(), socket.AF_UNIX, keeper
                )
            self.assertEqual(repr(transport), f"<{build.__name__} #0 on >")
            peer.sendall(b"hello")
            (protocol,) = keeper.built
            self.spin(lambda protocol=protocol: protocol.data == b"hello")
            if build is DescriptorTaker:
                with open(os.devnull, "rb") as null:
                    passed = array.array("i", [null.fileno()])
                    peer.sendmsg([b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
                self.spin(lambda protocol=protocol: protocol.descriptors)
                os.close(protocol.descriptors[0])

    def test_an_adopted_connection_that_nobody_wants(self) -> None:
        ours, peer = socket.socketpair()
        self.addCleanup(peer.close)
        keeper = Keeper(lambda: None)  # type: ignore[arg-type,return-value]
        keeper.buildProtocol = lambda addr: None  # type: ignore[method-assign,assignment,return-value]
        with ours:
            found = self.reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, keeper)
        self.assertIsNone(found)
        self.assertEqual(peer.recv(1), b"")

    def test_an_adopted_port(self) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path)
            listener.listen()
            keeper = Keeper()
            self.reactor.adoptStreamPort(listener.fileno(), socket.AF_UNIX, keeper)
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(self.path)
            peer.sendall(b"hello")
            self.spin(lambda: keeper.built and keeper.built[0].data == b"hello")


on_epoll_too(globals())
