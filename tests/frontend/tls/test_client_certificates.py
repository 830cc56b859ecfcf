"""Certificates of clients, by each library."""

from __future__ import annotations

import ssl
from typing import Any

from subproxy.frontend.tls.interfaces import ITlsEngine
from subproxy.frontend.tls.python_engine import PythonEngine
from tests.frontend.tls.client_certificate_case import (
    ALICE,
    CLIENTS,
    REQUIRED,
    ClientCertificateTestsMixin,
)
from tests.frontend.tls.engine_case import EngineCase
from tests.frontend.tls.test_system_engine import SystemCase
from tests.frontend.tls.test_wheel_engine import WheelCase
from tests.rigs.tls_line import AUTHORITY, Line
from tests.rigs.tls_rig import show_certificate


class PythonClientCertificateTests(ClientCertificateTestsMixin, EngineCase):
    def engine(self) -> ITlsEngine:
        return PythonEngine()


class CompiledClientCertificateTestsMixin(ClientCertificateTestsMixin):
    """With a library that is called by pointers."""

    def test_authorities_are_named(self: Any) -> None:
        """A browser offers its user those certificates that will do."""
        # TLS 1.3 encrypts it; that of 1.2 can be read.
        context = show_certificate(AUTHORITY.client_context(), ALICE)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        line = Line(self.engine(), context=context, rules={b"a.example": REQUIRED})
        line.server.dataReceived(line.client.start())
        self.assertIn(CLIENTS.name.public_bytes(), line.take())


class SystemClientCertificateTests(CompiledClientCertificateTestsMixin, SystemCase):
    pass


class WheelClientCertificateTests(CompiledClientCertificateTestsMixin, WheelCase):
    pass
