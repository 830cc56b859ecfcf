"""What a WSGI application is told of a client's TLS; for ASGI see C{test_asgi}."""

from __future__ import annotations

from tests.frontend.tls.client_certificate_case import ALICE, der
from tests.guest.adapters import test_wsgi


class WsgiTlsTests(test_wsgi.WsgiTestCase):
    environ = test_wsgi.EnvironTests.environ

    def test_tls(self) -> None:
        self.assertEqual([key for key in self.environ() if key.startswith("SSL")], [])
        told = {b"version": b"1.2", b"sni": b"blog.example"}
        environ = self.environ(info={b"tls": told})
        found = {key: environ[key] for key in environ if key.startswith("SSL")}
        self.assertEqual(sorted(found.values()), ["NONE", "TLSv1.2", "blog.example"])
        shown = {b"version": b"1.3", b"verified": True, b"cert": der(ALICE), b"sha256": bytes(32)}
        environ = self.environ(info={b"tls": shown}, headers=[(b"SSL-Client-Verify", b"x")])
        self.assertEqual(environ["SSL_CLIENT_VERIFY"], "SUCCESS")
        self.assertEqual(environ["SSL_CLIENT_S_DN"], "CN=alice")
        self.assertIn(environ["SSL_CLIENT_CERT"].encode(), ALICE)
