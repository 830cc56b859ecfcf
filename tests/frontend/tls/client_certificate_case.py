"""What becomes of the certificates of clients, with whatever library."""

from __future__ import annotations

import ssl
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.frontend.tls.certificate import CertificateError
from tests.rigs.tls_line import AUTHORITY, Line
from tests.rigs.tls_rig import Authority, show_certificate

CLIENTS = Authority()
OTHERS = Authority()
VERSIONS = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2)


def der(pem: bytes) -> bytes:
    """The first certificate of a file."""
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def authorities(*of: Authority, optional: bool = False) -> ClientAuthorities:
    """The rule of who believes these."""
    certificates = tuple(der(each.pem) for each in of)
    return ClientAuthorities(certificates, optional, b"".join(each[-16:] for each in certificates))


def revoking(crl: bytes, optional: bool = False) -> ClientAuthorities:
    """The rule of who believes C{CLIENTS}, and reads that list."""
    revoked = x509.load_pem_x509_crl(crl).public_bytes(Encoding.DER)
    certificates = (der(CLIENTS.pem),)
    return ClientAuthorities(certificates, optional, revoked[-32:], (revoked,))


ALICE = CLIENTS.issue(common="alice")
REQUIRED = authorities(CLIENTS)
OPTIONAL = authorities(CLIENTS, optional=True)
OTHER = authorities(OTHERS)


class ClientCertificateTestsMixin:
    """The tests, for every engine: see C{EngineCase}."""

    def visit(
        self: Any,
        pem: bytes = b"",
        version: ssl.TLSVersion = VERSIONS[0],
        host: str = "a.example",
        rules: Any = None,
        **options: Any,
    ) -> Line:
        """A handshake of a client that shows C{pem}, done or not."""
        context = options.pop("context", None)
        if context is None:
            context = AUTHORITY.client_context()
            context.maximum_version = version
            if pem:
                show_certificate(context, pem)
        rules = {b"a.example": REQUIRED} if rules is None else rules
        line: Line = self.line(host, context=context, rules=rules, **options)
        try:
            line.shake()
            line.hear()
        except ssl.SSLError as error:
            line.said = str(error)  # type: ignore[attr-defined]
        return line

    def assert_refused(self: Any, line: Line) -> None:
        self.assertEqual(line.counts["failed"], 1)
        self.assertTrue(line.transport.disconnecting)
        self.assertIn("alert", line.said)  # type: ignore[attr-defined]

    def test_shown(self: Any) -> None:
        for version in VERSIONS:
            line = self.visit(ALICE, version)
            self.assertEqual((line.counts, line.clients), ({"full": 1}, {"verified": 1}))
            tls = line.server.tls
            self.assertEqual(tls.certificate, der(ALICE))
            self.assertEqual(tls.version, b"1.3" if version is VERSIONS[0] else b"1.2")
            self.assertEqual((tls.sni, tls.alpn), (b"a.example", b"http/1.1"))
            line.say(b"hello")
            self.assertEqual(line.inner.data, b"hello")

    def test_none_shown(self: Any) -> None:
        for version in VERSIONS:
            self.assert_refused(self.visit(b"", version))

    def test_of_another_authority(self: Any) -> None:
        for version in VERSIONS:
            for rule in (REQUIRED, OPTIONAL):
                line = self.visit(
                    OTHERS.issue(common="mallory"), version, rules={b"a.example": rule}
                )
                self.assert_refused(line)

    def test_expired(self: Any) -> None:
        self.assert_refused(self.visit(CLIENTS.issue(common="alice", begin=-9, end=-2)))

    def test_by_one_that_may_not_vouch(self: Any) -> None:
        """A certificate is no authority because an authority has signed it."""
        mallory = Authority()
        mallory.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "alice")])
        key = mallory.key
        link = CLIENTS.certify(key=key, common="alice")
        leaf = mallory.issue(common="root").replace(mallory.pem, link)
        self.assert_refused(self.visit(leaf))

    def test_revoked(self: Any) -> None:
        """Who is in the list is refused, whether or not one must be shown; others are not."""
        bob = CLIENTS.issue(common="bob")
        for version in VERSIONS:
            for optional in (False, True):
                rules = {b"a.example": revoking(CLIENTS.revoke(bob), optional=optional)}
                line = self.visit(bob, version, rules=rules)
                self.assert_refused(line)
                self.assertIn("revoked", line.said)
                self.assertEqual(self.visit(ALICE, version, rules=rules).clients["verified"], 1)

    def test_a_list_that_is_no_good(self: Any) -> None:
        """Expired, or another authority's: nobody knows who is revoked."""
        for crl in (CLIENTS.revoke(begin=-9, end=-1), OTHERS.revoke()):
            self.assert_refused(self.visit(ALICE, rules={b"a.example": revoking(crl)}))
        with self.assertRaises(CertificateError):
            rule = ClientAuthorities(REQUIRED.certificates, False, b"", (b"nonsense",))
            self.engine().context(Line.certificate, (b"http/1.1",), rule)

    def test_optional(self: Any) -> None:
        rules = {b"a.example": OPTIONAL}
        line = self.visit(rules=rules)
        self.assertIsNone(line.server.tls.certificate)
        self.assertEqual((line.counts, line.clients), ({"full": 1}, {"none": 1}))
        self.assertEqual(self.visit(ALICE, rules=rules).server.tls.certificate, der(ALICE))

    def test_not_asked(self: Any) -> None:
        """A host without a rule is told of no certificate, whatever a client has."""
        line = self.visit(ALICE, host="b.example")
        self.assertIsNone(line.server.tls.certificate)
        self.assertEqual(line.counts, {"full": 1})

    def test_one_of_several_authorities(self: Any) -> None:
        rules = {b"a.example": authorities(Authority("Another"), CLIENTS)}
        self.assertEqual(self.visit(ALICE, rules=rules).clients["verified"], 1)

    def test_a_certificate_that_is_trusted_itself(self: Any) -> None:
        """Whoever is in the file is trusted, by whomever it is signed."""
        rules = {b"a.example": ClientAuthorities((der(ALICE),), False, b"alice")}
        self.assertEqual(self.visit(ALICE, rules=rules).clients["verified"], 1)
        self.assert_refused(self.visit(CLIENTS.issue(common="bob"), rules=rules))

    def test_resumed(self: Any) -> None:
        """Who comes again is who it was."""
        for version in VERSIONS:
            context = show_certificate(AUTHORITY.client_context(), ALICE)
            context.maximum_version = version
            first = self.visit(context=context)
            again = self.visit(
                context=context, session=first.client.tls.session, contexts=first.contexts
            )
            self.assertEqual((again.counts, again.clients), ({"resumed": 1}, {"verified": 1}))
            self.assertEqual(again.server.tls.certificate, der(ALICE))

    def test_not_resumed_by_another_rule(self: Any) -> None:
        """Neither a host with another rule, nor one that has another rule since: nor with none."""
        for version in VERSIONS:
            for before, after in (
                (None, REQUIRED), (OPTIONAL, REQUIRED), (REQUIRED, OTHER), (REQUIRED, None),
            ):  # fmt: skip
                context = show_certificate(AUTHORITY.client_context(), ALICE)
                context.maximum_version = version
                rules = [{b"a.example": each} if each else {} for each in (before, after)]
                first = self.visit(context=context, rules=rules[0])
                self.assertEqual(first.counts["full"], 1)
                again = self.visit(
                    context=context,
                    rules=rules[1],
                    session=first.client.tls.session,
                    contexts=first.contexts,
                )
                self.assertEqual(again.counts["resumed"], 0)
                self.assertEqual(again.counts["failed"], int(after is OTHER))

    def test_not_resumed_by_another_host(self: Any) -> None:
        """Both hosts are those of one certificate."""
        for version in VERSIONS:
            context = AUTHORITY.client_context()
            context.check_hostname = False
            context.maximum_version = version
            first = self.visit(context=context, host="b.example")
            again = self.visit(
                context=context, session=first.client.tls.session, contexts=first.contexts
            )
            self.assertEqual(again.counts, {"failed": 1})

    def test_hosts(self: Any) -> None:
        """A connection is for those hosts that have the rule by which it was made."""
        rules = {b"a.example": REQUIRED}
        tls = self.visit(ALICE, rules=rules).server.tls
        self.assertTrue(tls.serves(b"a.example"))
        self.assertFalse(tls.serves(b"b.example"))
        tls = self.visit(rules=rules, host="b.example").server.tls
        self.assertTrue(tls.serves(b"b.example"))
        self.assertFalse(tls.serves(b"a.example"))
        self.assertFalse(tls.serves(b"c.example"))

    def test_without_a_name(self: Any) -> None:
        """Who names no host in its handshake asks for none that wants a certificate."""
        context = AUTHORITY.client_context()
        context.check_hostname = False
        tls = self.visit(context=context, host=None).server.tls
        self.assertTrue(tls.serves(b"b.example"))
        self.assertFalse(tls.serves(b"a.example"))

    def test_a_rule_that_changes(self: Any) -> None:
        """What was agreed upon is not enough any more."""
        line = self.visit(host="b.example")
        self.assertTrue(line.server.tls.serves(b"b.example"))
        line.rules[b"b.example"] = REQUIRED
        self.assertFalse(line.server.tls.serves(b"b.example"))

    def test_no_authority(self: Any) -> None:
        rule = ClientAuthorities((b"nonsense",), False, b"")
        engine = self.engine()
        with self.assertRaises(CertificateError):
            engine.context(Line.certificate, (b"http/1.1",), rule)
