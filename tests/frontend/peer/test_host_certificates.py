"""The certificates of hosts: what they are called, and new ones; with each engine of TLS."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.peer.host_certificates import HostCertificates
from subproxy.frontend.peer.host_name import HostCertificateError, host_name
from subproxy.frontend.peer.host_tls import HostTlsEngine
from tests.frontend.peer.host_tls_case import compiled_engine, twisted_engine
from tests.rigs.memory_hosts import certificate_files
from tests.rigs.tls_rig import Authority, key_pem, make_key

SHORT_KEY = b"""\
-----BEGIN EC PRIVATE KEY-----
MD4CAQEEDl9cLFHLnQbQ2pUPA6RIoAcGBSuBBAAGoSADHgAE0L9IVqhPdfX6cgCp
Yiy5JyPlcdgy4yNyRil0gg==
-----END EC PRIVATE KEY-----
"""
"""On a curve (secp112r1) that OpenSSL has, and cryptography has not."""


class CertificateCase:
    """The tests, for an engine."""

    make: Callable[[], HostTlsEngine]

    def setUp(self: Any) -> None:
        self.engine = type(self).make()
        self.authority = Authority()
        self.own, self.ca = certificate_files(self.mktemp(), "kvm-1", self.authority)

    def write(self: Any, path: str, content: bytes) -> None:
        """Put another file in the place of one, as whoever renews certificates does."""
        fresh = f"{path}.fresh"
        Path(fresh).write_bytes(content)
        os.replace(fresh, path)

    def problem(self: Any) -> str:
        wrong = self.assertRaises(
            HostCertificateError, HostCertificates, self.own, self.ca, self.engine
        )
        return str(wrong)

    def test_name(self: Any) -> None:
        """The first DNS name, in lower case, wherever the key stands in the file."""
        key = make_key("ec")
        chain = self.authority.certify("KVM-2.Example", "other", key=key)
        self.write(self.own, key_pem(key) + chain)
        self.assertEqual(HostCertificates(self.own, self.ca, self.engine).name, "kvm-2.example")

    def test_no_name(self: Any) -> None:
        """One without, or with an address alone, is nobody's."""
        for names in ((), ("192.0.2.1",)):
            pem = self.authority.certify(*names, key=make_key("ec"))
            certificate = x509.load_pem_x509_certificate(pem)
            self.assertRaises(HostCertificateError, host_name, certificate)

    def test_a_pipe(self: Any) -> None:
        """Nobody may ever write into it: whoever waits for that serves nobody else."""
        os.unlink(self.own)
        os.mkfifo(self.own)
        self.assertIn(f"{self.own}: not a file", self.problem())

    def test_what_is_wrong(self: Any) -> None:
        """Each is a line that names the file."""
        good = Path(self.own).read_bytes()
        cases: list[tuple[str, bytes, str]] = [
            (self.own, b"", "a certificate and its key in PEM are needed"),
            (self.own, good.partition(b"-----BEGIN PRIVATE")[0], "its key in PEM are needed"),
            (self.own, good.replace(b"MII", b"XXX", 1), "a certificate and its key"),
            (self.own, self.authority.issue("192.0.2.1"), "the certificate has no DNS name"),
            (self.ca, b"", "there is no certificate in it"),
            (self.own, good.partition(b"-----BEGIN PRIVATE")[0] + SHORT_KEY, "its key in PEM"),
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

    def test_another_key(self: Any) -> None:
        """A key that is not the certificate's."""
        pem = self.authority.certify("kvm-1", key=make_key("ec"))
        self.write(self.own, pem + key_pem(make_key("ec")))
        self.assertIn("a certificate and its key", self.problem())

    def test_renewed(self: Any) -> None:
        """A new certificate is shown from the next connection on."""
        certificates = HostCertificates(self.own, self.ca, self.engine)
        first = certificates.context()
        self.assertIs(certificates.context(), first)
        self.write(self.own, self.authority.issue("kvm-1"))
        self.assertIsNot(certificates.context(), first)

    def test_no_good(self: Any) -> None:
        """One that cannot be used, or is another host's, leaves that before in force."""
        certificates = HostCertificates(self.own, self.ca, self.engine)
        first = certificates.context()
        for content in (b"", self.authority.issue("kvm-2")):
            self.write(self.own, content)
            self.assertIs(certificates.context(), first)
        os.remove(self.own)
        self.assertIs(certificates.context(), first)
        self.write(self.own, self.authority.issue("kvm-1"))
        self.assertIsNot(certificates.context(), first)


class TwistedCertificateTests(CertificateCase, SynchronousTestCase):
    make = staticmethod(twisted_engine)


class CompiledCertificateTests(CertificateCase, SynchronousTestCase):
    make = staticmethod(compiled_engine)
