"""TLS of a proxy as an operator asks for it."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher

from subproxy.app import tls
from subproxy.config.settings import Settings
from subproxy.frontend.proxy_protocol.protocol import ProxyProtocolFactory
from subproxy.frontend.tls.front import TlsFactory
from subproxy.frontend.tls.interfaces import LibraryUnavailable
from tests.rigs.build_case import BuildTestCase
from tests.rigs.tls_rig import Authority


class BuildTlsTests(BuildTestCase):
    authority = Authority()

    def setUp(self) -> None:
        self.events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.pem = self.folder / "a.pem"
        self.pem.write_bytes(self.authority.issue("a.example"))
        self.settings = Settings(
            https=("tcp:443", "haproxy:tcp:444"),
            certificates=(str(self.folder),),
            access_log="none",
            tls_library="python",
        )

    def said(self) -> str:
        return "\n".join(formatEvent(event) for event in self.events)

    def test_listeners(self) -> None:
        service = self.build()
        first, second = service.http_listeners
        self.assertEqual((first.what, first.where), ("HTTPS", "tcp:443"))
        self.assertIsInstance(first.factory, TlsFactory)
        self.assertIsInstance(second.factory, ProxyProtocolFactory)
        assert service.certificates is not None
        self.assertIsNotNone(service.certificates.find(b"a.example"))
        self.assertIn("TLS by Python's ssl", self.said())

    def test_ports(self) -> None:
        """A bare one is as with C{--http}, and is told of likewise."""
        service = self.build(https=("443",))
        self.assertEqual(service.http_listeners[0].where, "tcp:443:interface=127.0.0.1")
        self.assertIn("port 443 answers this machine alone", self.said())
        self.assertIn("--https=tcp:443", self.said())

    def test_without(self) -> None:
        service = self.build(https=(), certificates=())
        self.assertIsNone(service.certificates)

    def test_complaints(self) -> None:
        self.assertIn("--https=nonsense:1:", self.complaint(https=("nonsense:1",)))
        self.assertIn("no such file or folder", self.complaint(certificates=("/nonexistent",)))
        self.pem.write_text("nothing")
        self.assertIn(
            "a.pem: there is no certificate in it", self.complaint(certificates=(str(self.pem),))
        )
        with mock.patch.dict("sys.modules", {"cryptography": None}):
            self.assertIn("subscription-proxy-vsock[tls]", self.complaint())

        def unavailable(asked: str) -> None:
            raise LibraryUnavailable("it is not there")

        self.patch(tls, "choose_library", unavailable)
        self.assertIn("--tls-library=python: it is not there", self.complaint())

    def test_no_certificate_yet(self) -> None:
        self.pem.unlink()
        self.build()
        self.assertIn("nobody is served over TLS", self.said())

    def test_view(self) -> None:
        (self.folder / "default.pem").write_text("nothing")
        service = self.build()
        found = tls.build_tls(service.clock, self.settings, service.http, lambda host: None)
        assert found is not None
        self.assertIn("Python's ssl", found.library)
        good, bad = found.view()
        self.assertEqual(
            (good["state"], good["names"], good["default"]), ("good", ["a.example"], False)
        )
        self.assertAlmostEqual(good["days_left"], 90, delta=0.1)
        self.assertEqual((bad["state"], bad["names"], bad["default"]), ("unusable", [], True))
        self.assertIsNone(bad["days_left"])
        self.assertIn("no certificate", bad["problem"])

    def test_reload_withdraws(self) -> None:
        """A certificate whose file is gone, though nothing else is to be read."""
        service = self.build()
        assert service.certificates is not None
        self.pem.unlink()
        for _ in service.certificates._reconcile():
            pass
        self.assertIsNotNone(service.certificates.find(b"a.example"))
        service.certificates.reload()
        self.assertIsNone(service.certificates.find(b"a.example"))
