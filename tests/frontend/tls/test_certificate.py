"""Certificates read of PEM."""

from __future__ import annotations

import time

from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.tls.certificate import CertificateError, read_certificate
from tests.rigs.tls_rig import Authority, key_pem, make_key


class CertificateTests(SynchronousTestCase):
    authority = Authority()

    def refused(self, pem: bytes, key: bytes = b"") -> str:
        return str(self.assertRaises(CertificateError, read_certificate, pem, key))

    def test_all_kinds_of_keys(self) -> None:
        for kind in ("ec", "rsa", "ed25519"):
            found = read_certificate(self.authority.issue("a.example", "192.0.2.1", kind=kind))
            self.assertEqual(found.names.texts(), ["192.0.2.1", "a.example"])
            self.assertEqual(len(found.chain), 2)
            self.assertIn("Authority of tests", found.issuer)

    def test_dates(self) -> None:
        found = read_certificate(self.authority.issue("a.example", begin=-3, end=7))
        now = time.time()
        self.assertAlmostEqual(found.days_left(now), 7, places=2)
        self.assertTrue(found.is_valid(now))
        self.assertFalse(found.is_valid(now + 8 * 86400))
        self.assertFalse(found.is_valid(now - 4 * 86400))

    def test_the_key_by_itself(self) -> None:
        key = make_key()
        pem = self.authority.certify("a.example", key=key)
        self.assertIn("no private key", self.refused(pem))
        found = read_certificate(pem, key_pem(key))
        self.assertEqual(len(found.chain), 1)

    def test_the_common_name(self) -> None:
        """Where there is no other."""
        found = read_certificate(self.authority.issue(common="old.example"))
        self.assertEqual(found.names.texts(), ["old.example"])
        self.assertIn("names no host", self.refused(self.authority.issue()))
        self.assertIn("names no host", self.refused(self.authority.issue(common="Some Body")))

    def test_wrong_key(self) -> None:
        pem = self.authority.certify("a.example", key=make_key())
        self.assertIn("not that of", self.refused(pem, key_pem(make_key())))

    def test_the_chain_before_the_certificate(self) -> None:
        key = make_key()
        pem = self.authority.pem + self.authority.certify("a.example", key=key)
        self.assertIn("not that of the (first)", self.refused(pem, key_pem(key)))

    def test_broken(self) -> None:
        pem = self.authority.issue("a.example")
        self.assertIn("no certificate", self.refused(b""))
        self.assertIn("no certificate", self.refused(pem[:200]))
        first = pem.index(b"-----END")
        self.assertIn("the certificate cannot", self.refused(pem[: first - 99] + pem[first - 60 :]))
        second = pem.index(b"-----END", first + 9)
        self.assertIn(
            "certificate 2 of the chain cannot",
            self.refused(pem[: second - 99] + pem[second - 60 :]),
        )
        last = pem.rindex(b"-----END")
        self.assertIn("key cannot be read", self.refused(pem[: last - 60] + pem[last - 40 :]))

    def test_encrypted_key(self) -> None:
        key = make_key()
        locked = key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
        pem = self.authority.certify("a.example", key=key)
        self.assertIn("encrypted", self.refused(pem, locked))

    def test_a_key_that_signs_nothing(self) -> None:
        pem = self.authority.certify("a.example", key=make_key())
        self.assertIn(
            "signs nothing", self.refused(pem, key_pem(x25519.X25519PrivateKey.generate()))
        )

    def test_no_key_in_its_text(self) -> None:
        found = read_certificate(self.authority.issue("a.example"))
        self.assertNotIn("key=", repr(found))
