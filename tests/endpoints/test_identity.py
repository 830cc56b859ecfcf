"""Who speaks, told by the transport."""

from __future__ import annotations

import os

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.stdio import PipeAddress
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from subproxy.endpoints.addresses import HybridVsockAddress, VsockAddress
from subproxy.endpoints.identity import identity_of, identity_of_peer, identity_of_transport


class IdentityOfTests(SynchronousTestCase):
    def test_everyKindOfAddress(self) -> None:
        """Each kind of address has a prefix of its own, so that none can pass for another."""
        tmp = os.path.realpath("/tmp")
        for address, expected in (
            (VsockAddress(10, 5), "cid:10"),
            (HybridVsockAddress("/tmp/cid10.sock"), f"path:{tmp}/cid10.sock"),
            (UNIXAddress(b"/tmp/cid10.sock_12345"), f"path:{tmp}/cid10.sock_12345"),
            (UNIXAddress(b"\0abstract"), "path:@abstract"),
            (UNIXAddress(None), "unknown:UNIXAddress"),
            (IPv4Address("TCP", "127.0.0.1", 5), "tcp:127.0.0.1"),
            (IPv6Address("TCP", "::1", 5), "tcp:::1"),
            (PipeAddress(), "unknown:PipeAddress"),
        ):
            self.assertEqual(identity_of(address), expected)


class IdentityOfPeerTests(SynchronousTestCase):
    def test_whatProvesIt(self) -> None:
        """A VM's address does; that of a unix socket is what its owner called it."""
        self.assertEqual(identity_of_peer(VsockAddress(10, 5)), "cid:10")
        self.assertEqual(identity_of_peer(HybridVsockAddress("/nowhere/a")), "path:/nowhere/a")
        for address in (UNIXAddress(b"/nowhere/a"), IPv4Address("TCP", "127.0.0.1", 5), None):
            self.assertIsNone(identity_of_peer(address))


class IdentityOfTransportTests(SynchronousTestCase):
    def test_peerOfTcp(self) -> None:
        """On TCP it is who connected."""
        transport = StringTransport(
            hostAddress=IPv4Address("TCP", "10.0.0.1", 80),
            peerAddress=IPv4Address("TCP", "10.0.0.2", 9999),
        )
        self.assertEqual(identity_of_transport(transport), "tcp:10.0.0.2")

    def test_peerOfVsock(self) -> None:
        """On vsock it is who connected."""
        transport = StringTransport(
            hostAddress=VsockAddress(2, 12345), peerAddress=VsockAddress(7, 1024)
        )
        self.assertEqual(identity_of_transport(transport), "cid:7")

    def test_listenerOfUnix(self) -> None:
        """On a unix socket it is the listener: a client may call its own end what it likes."""
        transport = StringTransport(
            hostAddress=UNIXAddress(b"/nowhere/a"), peerAddress=UNIXAddress(b"/nowhere/b")
        )
        self.assertEqual(identity_of_transport(transport), "path:/nowhere/a")
