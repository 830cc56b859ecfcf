"""The certificates of hosts: what they are called, whom they let in, and new ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL.SSL import Error as OpenSslError
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.peer.host_tls import (
    HANDSHAKE_TIMEOUT,
    MAX_HANDSHAKES,
    HostCertificateError,
    HostCertificates,
    HostGate,
    HostGateFactory,
    host_name,
)
from tests.rigs.memory_hosts import certificate_files
from tests.rigs.tls_rig import Authority, key_pem, make_key


class CertificateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.authority = Authority()
        self.own, self.ca = certificate_files(self.mktemp(), "kvm-1", self.authority)

    def write(self, path: str, content: bytes) -> None:
        """Put another file in the place of one, as whoever renews certificates does."""
        fresh = f"{path}.fresh"
        Path(fresh).write_bytes(content)
        os.replace(fresh, path)

    def problem(self) -> str:
        return str(self.assertRaises(HostCertificateError, HostCertificates, self.own, self.ca))

    def test_name(self) -> None:
        """The first DNS name, in lower case, wherever the key stands in the file."""
        key = make_key("ec")
        chain = self.authority.certify("KVM-2.Example", "other", key=key)
        self.write(self.own, key_pem(key) + chain)
        self.assertEqual(HostCertificates(self.own, self.ca).name, "kvm-2.example")

    def test_no_name(self) -> None:
        """One without, or with an address alone, is nobody's."""
        for names in ((), ("192.0.2.1",)):
            pem = self.authority.certify(*names, key=make_key("ec"))
            certificate = x509.load_pem_x509_certificate(pem)
            self.assertRaises(HostCertificateError, host_name, certificate)

    def test_a_pipe(self) -> None:
        """Nobody may ever write into it: whoever waits for that serves nobody else."""
        os.unlink(self.own)
        os.mkfifo(self.own)
        self.assertIn(f"{self.own}: not a file", self.problem())

    def test_what_is_wrong(self) -> None:
        """Each is a line that names the file."""
        good = Path(self.own).read_bytes()
        cases: list[tuple[str, bytes, str]] = [
            (self.own, b"", "a certificate and its key in PEM are needed"),
            (self.own, good.partition(b"-----BEGIN PRIVATE")[0], "its key in PEM are needed"),
            (self.own, good.replace(b"MII", b"XXX", 1), "a certificate and its key"),
            (self.own, self.authority.issue("192.0.2.1"), "the certificate has no DNS name"),
            (self.ca, b"", "there is no certificate in it"),
        ]
        for path, content, said in cases:
            before = Path(path).read_bytes()
            self.write(path, content)
            problem = self.problem()
            self.assertIn(said, problem)
            self.assertIn(path, problem)
            self.write(path, before)
        self.own += "none"
        self.assertIn("No such file", self.problem())

    def test_another_key(self) -> None:
        """A key that is not the certificate's."""
        pem = self.authority.certify("kvm-1", key=make_key("ec"))
        self.write(self.own, pem + key_pem(make_key("ec")))
        self.assertIn("a certificate and its key", self.problem())

    def test_renewed(self) -> None:
        """A new certificate is shown from the next connection on."""
        certificates = HostCertificates(self.own, self.ca)
        first = certificates.getContext()
        self.assertIs(certificates.getContext(), first)
        self.write(self.own, self.authority.issue("kvm-1"))
        self.assertIsNot(certificates.getContext(), first)

    def test_no_good(self) -> None:
        """One that cannot be used, or is another host's, leaves that before in force."""
        certificates = HostCertificates(self.own, self.ca)
        first = certificates.getContext()
        for content in (b"", self.authority.issue("kvm-2")):
            self.write(self.own, content)
            self.assertIs(certificates.getContext(), first)
        os.remove(self.own)
        self.assertIs(certificates.getContext(), first)
        self.write(self.own, self.authority.issue("kvm-1"))
        self.assertIsNot(certificates.getContext(), first)


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
        for reason, said in ((OpenSslError(), "TLS: no handshake"), (ConnectionLost(), "lost")):
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
        certificates = HostCertificates(*certificate_files(self.mktemp(), "kvm-1", Authority()))
        factory = HostGateFactory(self.clock, self.admit, self.refused.append)
        listener = certificates.server(factory, self.clock)
        for _ in range(MAX_HANDSHAKES):
            self.assertIsNotNone(listener.buildProtocol(None))
        self.assertIsNone(listener.buildProtocol(None))
