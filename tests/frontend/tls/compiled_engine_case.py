"""What a compiled connection over TLS does beside its reference, with whatever library."""

from __future__ import annotations

import gc
import ssl
from typing import Any
from unittest import mock

from subproxy.core.http.host_names import HostNames
from subproxy.frontend.tls.certificate import Certificate, CertificateError
from subproxy.frontend.tls.front import TlsFactory
from tests.frontend.tls.engine_case import ConnectionTestsMixin
from tests.rigs.tls_line import AUTHORITY, Line


class CompiledConnectionTestsMixin(ConnectionTestsMixin):
    """For a subclass that knows the class of its connections."""

    def connection_class(self) -> type:
        raise NotImplementedError

    def test_suites(self: Any) -> None:
        """AES of 128 bits is chosen where the client leaves that to us, in either version."""
        for version, chosen in (
            (ssl.TLSVersion.TLSv1_3, "TLS_AES_128_GCM_SHA256"),
            (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ):
            context = AUTHORITY.client_context()
            context.maximum_version = version
            line = self.shaken(context=context)
            self.assertEqual(line.client.tls.cipher()[0], chosen)

    def test_freed(self: Any) -> None:
        """A connection that is over leaves nothing, wherever it ended."""
        self.engine()
        made = self.connection_class()

        def count() -> int:
            gc.collect()
            return sum(type(each) is made for each in gc.get_objects())

        # Where nobody has begun to log, Twisted keeps what was said, and who has said it.
        self.patch(TlsFactory, "_log", mock.Mock())
        before = count()
        for end in ("gone", "half a handshake", "in a read"):
            line = self.line()
            if end == "half a handshake":
                line.server.dataReceived(line.client.start())
            else:
                line.shake()
            if end == "in a read":
                inner = line.inner
                inner.dataReceived = lambda data, line=line: line.server.readConnectionLost()
                line.say(b"hello")
            else:
                line.server.connectionLost()
            inner = line = None  # type: ignore[assignment]
        self.assertEqual(count(), before)


class RefusedCertificateTestsMixin:
    """Certificates that a library does not take."""

    def test_a_certificate_that_it_does_not_take(self: Any) -> None:
        engine = self.engine()
        good = Line.certificate
        for chain, key in (
            ((b"nonsense",), good.key),
            (good.chain, b"nonsense"),
            ((good.chain[0], b"nonsense"), good.key),
            (good.chain, Line.other.key),
        ):
            bad = Certificate(HostNames([b"a"]), chain, key, 0, 1, "")
            self.assertRaises(CertificateError, engine.context, bad, (b"http/1.1",))
