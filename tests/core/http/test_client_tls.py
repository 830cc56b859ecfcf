"""Which hosts a connection over TLS may be used for (RFC 9110 section 7.4)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.host_names import HostNames

NAMES = HostNames([b"a.example", b"::1"])
ONE, OTHER = (ClientAuthorities((), False, each) for each in (b"1", b"2"))


class ServesTests(SynchronousTestCase):
    def test_what_the_certificate_covers(self) -> None:
        """And the host that was asked for in the handshake, covered or not."""
        tls = ClientTls(NAMES, b"sni.example")
        for host, serves in (
            (b"a.example", True),
            (b"sni.example", True),
            (b"b.example", False),
            (b"[::1]", True),
            (b"[::2]", False),
        ):
            self.assertIs(tls.serves(host), serves, host)

    def test_without_a_name_in_the_handshake(self) -> None:
        """Nothing is known of what the client wanted."""
        self.assertIs(ClientTls(NAMES, None).serves(b"b.example"), True)

    def test_a_host_whose_tls_is_a_guests(self) -> None:
        """It is never asked for here."""
        passthrough = {b"b.example": True}.get
        tls = ClientTls(NAMES, None, passthrough=passthrough)
        self.assertIs(tls.serves(b"b.example"), False)
        self.assertIs(tls.serves(b"a.example"), True)

    def test_certificates_of_clients(self) -> None:
        """A host that asks for another one, or for none, is not served."""
        rules = {b"a.example": ONE, b"b.example": OTHER}
        tls = ClientTls(NAMES, None, ONE, rules.get)
        for host, serves in ((b"a.example", True), (b"b.example", False), (b"c.example", False)):
            self.assertIs(tls.serves(host), serves, host)
        self.assertIs(ClientTls(NAMES, None, None, rules.get).serves(b"c.example"), True)

    def test_what_was_agreed_upon(self) -> None:
        tls = ClientTls(NAMES, None)
        self.assertEqual((tls.version, tls.alpn, tls.certificate), (b"", None, None))
        tls.agreed(b"1.3", b"h2", b"der")
        self.assertEqual((tls.version, tls.alpn, tls.certificate), (b"1.3", b"h2", b"der"))
