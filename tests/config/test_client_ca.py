"""Tests of subproxy.config.client_ca."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.client_ca import MAX_FILE, ClientCaError, ClientCaFiles, read_authorities
from subproxy.config.configuration_error import ConfigurationError
from subproxy.config.sources import Sources
from tests.frontend.tls.client_certificate_case import der
from tests.rigs.tls_rig import Authority

ONE, OTHER = Authority(), Authority()


class ClientCaTests(SynchronousTestCase):
    def file(self, data: bytes) -> str:
        path = Path(self.mktemp())
        path.write_bytes(data)
        return str(path)

    def test_read(self) -> None:
        """All certificates of all files, each once; and what is written about them is left."""
        first = self.file(b"# one\n" + ONE.pem + b"\n# other\n" + OTHER.pem)
        second = self.file(OTHER.pem)
        found = read_authorities(ClientCaFiles((first, second), True))
        self.assertEqual(found.certificates, (der(ONE.pem), der(OTHER.pem)))
        self.assertTrue(found.optional)

    def test_equal(self) -> None:
        """What lets in the same is one object; and nothing else is equal to it."""
        both, turned = self.file(ONE.pem + OTHER.pem), self.file(OTHER.pem + ONE.pem)
        rule = read_authorities(ClientCaFiles((both,), False))
        self.assertIs(read_authorities(ClientCaFiles((both,), False)), rule)
        self.assertEqual(read_authorities(ClientCaFiles((turned,), False)), rule)
        self.assertNotEqual(read_authorities(ClientCaFiles((both,), True)), rule)
        alone = self.file(ONE.pem)
        self.assertNotEqual(read_authorities(ClientCaFiles((alone,), False)), rule)

    def test_no_good(self) -> None:
        begin, end = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"
        for data, why in (
            (b"", "there is no certificate in it"),
            (ONE.issue(common="x").partition(begin)[0], "there is no certificate in it"),
            (begin + b"!!!\n" + end, "cannot be read"),
            (begin + b"AAAA\n" + end, "cannot be read"),
            (b"x" * (MAX_FILE + 1), f"is longer than {MAX_FILE} bytes"),
        ):
            path = self.file(data)
            error = self.assertRaises(
                ClientCaError, read_authorities, ClientCaFiles((path,), False)
            )
            self.assertIn(why, str(error))
            self.assertTrue(str(error).startswith(path))

    def test_revoked(self) -> None:
        """Lists are read, too; with another one nothing is equal."""
        ca, crl = self.file(ONE.pem), self.file(b"# list\n" + ONE.revoke())
        rule = read_authorities(ClientCaFiles((ca,), False, (crl,)))
        self.assertEqual(len(rule.revoked), 1)
        self.assertIs(read_authorities(ClientCaFiles((ca,), False, (crl, crl))), rule)
        self.assertNotEqual(read_authorities(ClientCaFiles((ca,), False)), rule)
        begin, end = b"-----BEGIN X509 CRL-----\n", b"-----END X509 CRL-----\n"
        for data, why in (
            (ONE.pem, "there is no list of revoked certificates in it"),
            (begin + b"AAAA\n" + end, "cannot be read"),
        ):
            files = ClientCaFiles((ca,), False, (self.file(data),))
            error = self.assertRaises(ClientCaError, read_authorities, files)
            self.assertIn(why, str(error))

    def test_in_a_configuration(self) -> None:
        """What is wrong stands at its line; what is right is in the rules."""
        good = self.file(ONE.pem)
        path = self.file(
            f'[[site]]\nhosts = "a"\nclient-ca = "{good}"\n'
            '[[site]]\nhosts = "b"\nclient-ca = "/nowhere.pem"\n'.encode()
        )
        error = self.assertRaises(ConfigurationError, Sources({}, path).read)
        self.assertEqual(
            error.lines(), [f"{path}:6:1: client-ca: /nowhere.pem: No such file or directory"]
        )
        path = self.file(f'[[site]]\nhosts = "a"\nclient-ca = "{good}"\n'.encode())
        [site] = Sources({}, path).read().sites
        self.assertEqual(site.rules["client_ca"], read_authorities(ClientCaFiles((good,), False)))
