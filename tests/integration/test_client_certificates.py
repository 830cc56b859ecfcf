"""Certificates of clients, from curl and Python to applications of each interface."""

from __future__ import annotations

import ssl
import subprocess

from tests.integration.tls_case import HOST, TlsCase
from tests.rigs.tls_rig import Authority, show_certificate

HEADERS = "SSL_CLIENT_VERIFY: SUCCESS\r\nX-SSL-Client-Cert: forged\r\nSSL-Client-S-DN: CN=mallory"


class ClientCertificateTests(TlsCase):
    def setUp(self) -> None:
        super().setUp()
        self.clients = Authority("Authority of clients")
        self.client_ca = self.world.folder / "clients.pem"
        self.client_ca.write_bytes(self.clients.pem)
        self.config = self.world.folder / "subproxy.toml"
        self.say("")
        self.alice = self.clients.issue(common="alice")

    def say(self, more: str) -> None:
        """What the configuration file says."""
        self.config.write_text(
            f'[[site]]\nhosts = "{HOST}"\nclient-ca = "{self.client_ca}"\n{more}'
        )

    def start(self, application: str, *options: str) -> None:
        self.serve(f"--config={self.config}", application=None)
        self.guest = self.world.start_guest(
            f"tests.integration.tls_apps:{application}", "--host=.*", *options
        )

    def as_alice(self) -> ssl.SSLContext:
        return show_certificate(self.authority.client_context(), self.alice)

    def body(self, *args: object, **options: object) -> bytes:
        with self.connect(*args, **options) as client:  # type: ignore[arg-type]
            return self.get(client).partition(b"\r\n\r\n")[2]

    def test_by_twisted(self) -> None:
        self.start("TwistedTls", "--tls=sni,cert")
        with self.connect(context=self.as_alice()) as client:
            length = len(ssl.PEM_cert_to_DER_cert(self.alice.decode().partition("-----END")[0]
                                                  + "-----END CERTIFICATE-----\n"))  # fmt: skip
            answer = self.get(client)
            self.assertTrue(answer.endswith(b"\r\n1.3 %b True %d" % (HOST.encode(), length)))
            # The other host has no such rule, and the same certificate of ours.
            self.assertIn(b" 421 ", self.get(client, host="news.example"))
        with self.connect("news.example") as client:
            answer = self.get(client, host="news.example")
            self.assertTrue(answer.endswith(b"\r\n1.3 news.example False none"))
            self.assertIn(b" 421 ", self.get(client))
        # Nobody in particular: the alert comes behind the handshake of TLS 1.3.
        for context in (self.context, show_certificate(
            self.authority.client_context(), Authority().issue(common="mallory")
        )):  # fmt: skip
            with self.assertRaises(ssl.SSLError):
                self.body(context=context)
        self.assertEqual(self.world.ask("/")[0], 403)
        self.assertEqual(self.world.ask("/", host="news.example")[2], b"nothing")

    def test_by_asgi(self) -> None:
        """Over HTTP/2, by curl."""
        self.start("asgi", "--tls=cert", "--interface=asgi")
        key = self.world.folder / "alice.pem"
        key.write_bytes(self.alice)
        where = f"{HOST}:{self.https}"
        out = subprocess.run(
            ["curl", "-sS", "--http2", "--cacert", self.ca, "--cert", key,
             "--resolve", f"{where}:127.0.0.1", f"https://{where}/"],
            capture_output=True, check=False, text=True, timeout=30,
        )  # fmt: skip
        self.assertEqual((out.stdout, out.stderr), ("0x304 CN=alice 1", ""))

    def test_by_wsgi(self) -> None:
        """What a client writes into fields is never taken for it."""
        self.say("client-ca-optional = true\n")
        self.start("wsgi", "--tls=cert", "--interface=wsgi")
        self.assertEqual(self.body(context=self.as_alice()), b"TLSv1.3 SUCCESS CN=alice")
        with self.connect() as client:
            answer = self.get(client, host=f"{HOST}\r\n{HEADERS}")
            self.assertTrue(answer.endswith(b"\r\nTLSv1.3 NONE None"))

    def test_revoked(self) -> None:
        """Who is revoked is let in until the list is read again, and then no more."""
        crl = self.world.folder / "crl.pem"
        crl.write_bytes(self.clients.revoke())
        self.say(f'client-crl = "{crl}"\n')
        self.start("TwistedTls")
        alice = self.as_alice()
        with self.connect(context=alice) as client:
            self.assertIn(b" 200 ", self.get(client))
            crl.write_bytes(self.clients.revoke(self.alice))
            self.proxy.wait_for("have changed, and are in force")
            self.assertIn(b" 421 ", self.get(client))
        with self.assertRaisesRegex(ssl.SSLError, "(?i)revoked"):
            self.body(context=alice)

    def test_another_authority(self) -> None:
        """A connection that was made before is for that host no more."""
        self.start("TwistedTls")
        alice = self.as_alice()
        with self.connect(context=alice) as client:
            # The guest has asked for nothing, and is told nothing.
            self.assertTrue(self.get(client).endswith(b"\r\nnothing"))
            self.client_ca.write_bytes(Authority("Another").pem)
            self.proxy.wait_for("have changed, and are in force")
            self.assertIn(b" 421 ", self.get(client))
        with self.assertRaises(ssl.SSLError):
            self.body(context=alice)


class PythonClientCertificateTests(ClientCertificateTests):
    library = "python"
