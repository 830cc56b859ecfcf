"""Stream sockets of families that Twisted has no names for: IReactorStreamSocket.

AF_VSOCK itself is tested inside a virtual machine; what is particular to this
interface does not depend on the family.
"""

from __future__ import annotations

import socket
from typing import Any

import attrs
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from zope.interface import implementer
from zope.interface.verify import verifyObject

from subproxy.reactor.interfaces import IReactorStreamSocket
from tests.integration.reactor_harness import (
    Keeper,
    ReactorTestCase,
    Recorder,
    drained,
    on_epoll_too,
)


@implementer(IAddress)
@attrs.frozen
class Address:
    """An address of a family of our own."""

    name: Any


class StreamSocketTests(ReactorTestCase):
    """Ports and connections made from sockets of somebody else's."""

    def listening(self) -> socket.socket:
        skt = socket.socket(socket.AF_UNIX)
        skt.bind("")
        skt.listen()
        return skt

    def test_interface(self) -> None:
        verifyObject(IReactorStreamSocket, self.reactor)

    def test_listen(self) -> None:
        """Addresses are the builder's; the rest is as everywhere."""
        skt = self.listening()
        name = skt.getsockname()
        keeper = Keeper()
        port = self.reactor.listenStreamSocket(skt, keeper, Address)
        self.assertEqual(port.getHost(), Address(name))
        self.assertIn("StreamPort of", repr(port))
        peer = socket.socket(socket.AF_UNIX)
        self.addCleanup(peer.close)
        peer.connect(name)
        peer.sendall(b"hello")
        self.spin(lambda: keeper.built and keeper.built[0].data == b"hello")
        transport = keeper.built[0].transport
        self.assertEqual(transport.getHost(), Address(name))
        self.assertEqual(transport.getPeer(), Address(""))
        self.assertGreater(transport.fd, -1)
        transport.setTcpNoDelay(True)
        self.assertFalse(transport.getTcpNoDelay())
        transport.setTcpKeepAlive(True)
        transport.write(b"answer")
        self.turns(1)
        self.assertEqual(drained(peer, 6), b"answer")
        transport.abortConnection()
        self.spin(lambda: keeper.built[0].lost)
        done: list[Any] = []
        port.stopListening().addCallback(done.append)
        self.spin(lambda: done)
        self.assertEqual(skt.fileno(), -1)
        with socket.socket(socket.AF_UNIX) as late:
            self.assertRaises(ConnectionRefusedError, late.connect, name)

    def test_refuse(self) -> None:
        """A builder that returns None refuses the connection."""
        skt = self.listening()
        name = skt.getsockname()
        keeper = Keeper()
        self.reactor.listenStreamSocket(skt, keeper, lambda raw: Address(raw) if raw else None)
        peer = socket.socket(socket.AF_UNIX)
        self.addCleanup(peer.close)
        peer.connect(name)
        peer.setblocking(False)

        def refused() -> bool:
            try:
                return peer.recv(1) == b""
            except BlockingIOError:
                return False

        self.spin(refused)
        self.assertEqual(keeper.built, [])

    def test_adopt(self) -> None:
        """A connected socket gets a transport; nothing comes before makeConnection."""
        ours, peer = socket.socketpair()
        self.addCleanup(peer.close)
        peer.sendall(b"early")
        protocol = Recorder()
        transport = self.reactor.adoptStreamSocket(ours, protocol, Address("peer"), Address("host"))
        self.assertEqual(protocol.data, b"")
        protocol.makeConnection(transport)
        self.assertEqual(transport.getPeer(), Address("peer"))
        self.assertEqual(transport.getHost(), Address("host"))
        self.spin(lambda: protocol.data == b"early")
        transport.write(b"late")
        transport.loseConnection()
        self.spin(lambda: protocol.lost)
        self.assertEqual(drained(peer, 5), b"late")
        protocol.lost.trap(ConnectionDone)
        self.assertEqual(ours.fileno(), -1)


on_epoll_too(globals())
