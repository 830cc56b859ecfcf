"""Who is let in between hosts, and why others are not."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from OpenSSL.SSL import Error as OpenSslError
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.peer.host_certificates import HostCertificates
from subproxy.frontend.peer.host_gate import (
    HANDSHAKE_TIMEOUT,
    MAX_HANDSHAKES,
    HostGate,
    HostGateFactory,
)
from subproxy.frontend.peer.host_tls_broken import HostTlsBroken
from tests.frontend.peer.host_tls_case import ENGINES
from tests.rigs.memory_hosts import certificate_files
from tests.rigs.tls_rig import Authority, make_key


class GateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.admitted: list[str] = []
        self.refused: list[str] = []
        self.inner: Any = Protocol()
        self.gate = HostGate(self.clock, self.admit, self.refused.append)
        self.transport: Any = StringTransport()
        self.transport.getPeerCertificate = lambda: self
        self.pem = Authority().certify("kvm-1", key=make_key("ec"))
        self.gate.makeConnection(self.transport)

    def admit(self, name: str) -> Any:
        self.admitted.append(name)
        return self.inner

    def to_cryptography(self) -> x509.Certificate:
        """As an X509 of pyOpenSSL has it."""
        return x509.load_pem_x509_certificate(self.pem)

    def test_admitted(self) -> None:
        """Who has shown a certificate speaks with whom it is for."""
        received: list[bytes] = []
        lost: list[Failure] = []
        self.inner.dataReceived = received.append
        self.inner.connectionLost = lost.append
        self.gate.dataReceived(b"early")
        self.gate.handshakeCompleted()
        self.gate.dataReceived(b"hello")
        self.clock.advance(HANDSHAKE_TIMEOUT)
        self.gate.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((self.admitted, received, self.refused), (["kvm-1"], [b"hello"], []))
        self.assertEqual(len(lost), 1)

    def test_not_admitted(self) -> None:
        """Who is not expected, or has no name, is told nothing, and a line says why."""
        self.inner = None
        self.gate.handshakeCompleted()
        self.assertEqual(self.refused, ["its certificate is that of kvm-1"])
        self.assertTrue(self.transport.disconnected)
        self.gate.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(len(self.refused), 1)

    def test_no_name(self) -> None:
        """Nor is who has a certificate without a name."""
        self.pem = Authority().certify(key=make_key("ec"))
        self.gate.handshakeCompleted()
        self.assertEqual((self.admitted, self.refused), ([], ["the certificate has no DNS name"]))

    def test_late(self) -> None:
        """A handshake that takes too long."""
        self.clock.advance(HANDSHAKE_TIMEOUT)
        self.assertEqual(self.refused, ["no handshake in time"])

    def test_failed(self) -> None:
        """One that fails: why, in a few words."""
        error = OpenSslError([("SSL routines", "", "certificate verify failed")])
        self.gate.connectionLost(Failure(error))
        self.assertEqual(self.refused, ["TLS: certificate verify failed"])
        for reason, said in (
            (OpenSslError(), "TLS: no handshake"),
            (HostTlsBroken("no shared cipher"), "TLS: no shared cipher"),
            (HostTlsBroken(""), "TLS: no handshake"),
            (ConnectionLost(), "lost"),
        ):
            gate = HostGate(self.clock, self.admit, self.refused.append)
            gate.makeConnection(StringTransport())
            gate.connectionLost(Failure(reason))
            self.assertIn(said, self.refused[-1])

    def test_strangers(self) -> None:
        """So many handshakes at once, and no more, whatever becomes of them."""
        factory = HostGateFactory(self.clock, self.admit, self.refused.append)
        gates = []
        for _ in range(MAX_HANDSHAKES):
            gate = factory.buildProtocol(None)
            assert gate is not None
            transport: Any = StringTransport()
            transport.getPeerCertificate = lambda: self
            gate.makeConnection(transport)
            gates.append(gate)
        self.assertIsNone(factory.buildProtocol(None))
        self.assertEqual(self.refused, ["too many handshakes at once"])
        gates[0].handshakeCompleted()
        gates[1].connectionLost(Failure(ConnectionLost()))
        self.assertEqual(factory.handshakes, MAX_HANDSHAKES - 2)
        self.clock.advance(HANDSHAKE_TIMEOUT)
        for gate in gates:
            gate.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(factory.handshakes, 0)

    def test_strangers_over_tls(self) -> None:
        """Who is one too many is closed by whoever accepts it: there is no protocol."""
        files = certificate_files(self.mktemp(), "kvm-1", Authority())
        for make in ENGINES:
            factory = HostGateFactory(self.clock, self.admit, self.refused.append)
            listener = HostCertificates(*files, make()).server(factory, self.clock)
            for _ in range(MAX_HANDSHAKES):
                self.assertIsNotNone(listener.buildProtocol(None))
            self.assertIsNone(listener.buildProtocol(None))
