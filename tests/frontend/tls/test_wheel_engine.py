"""TLS by the libssl of cryptography's wheel, compiled: the tests of the reference, and its own."""

from __future__ import annotations

import ssl
from typing import Any, ClassVar
from unittest import SkipTest, mock

from subproxy.frontend.tls.interfaces import LibraryUnavailable
from subproxy.frontend.tls.python_engine import RENEW
from tests.frontend.tls.compiled_engine_case import (
    CompiledConnectionTestsMixin,
    RefusedCertificateTestsMixin,
)
from tests.frontend.tls.engine_case import EngineCase
from tests.rigs.tls_line import AUTHORITY


class WheelCase(EngineCase):
    made: ClassVar[Any] = None

    def engine(self) -> Any:
        if WheelCase.made is None:
            try:
                from subproxy.frontend.tls.wheel_engine import WheelEngine

                WheelCase.made = WheelEngine()
            except (ImportError, LibraryUnavailable) as error:
                raise SkipTest(str(error))
        return WheelCase.made


class WheelConnectionTests(CompiledConnectionTestsMixin, WheelCase):
    def connection_class(self) -> type:
        from subproxy.frontend.tls._memory_connection import MemoryTlsConnection

        return MemoryTlsConnection

    def test_records_in_any_pieces(self) -> None:
        """What is given to the library ends where a record does, however it has come."""
        said = b"".join(bytes([size & 255]) * size for size in (1, 300, 16384, 5, 20000))
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = AUTHORITY.client_context()
            context.maximum_version = version
            for size in (1023, 2000, 16000, 40000):
                line = self.shaken(context=context)
                for at in range(0, len(said), 5000):
                    line.say(said[at : at + 5000], size)
                line.say(said, size)
                self.assertEqual(line.inner.data, said * 2)
                line.inner.transport.write(said)
                self.assertEqual(line.hear(), said)

    def test_what_is_no_record(self) -> None:
        """It is the library's to refuse, at once."""
        for nonsense in (b"\x00", b"\x18\3\3\0\1", b"\x17\3\3\xff\xff"):
            line = self.shaken()
            line.server.dataReceived(nonsense + bytes(20))
            self.assertTrue(line.transport.disconnecting, nonsense)
            self.assertEqual(line.inner.events, [])

    def test_errors_are_nobody_else_s(self) -> None:
        """The queue of errors is pyOpenSSL's, too, which takes what is in it for its own."""
        line = self.shaken()
        inner = line.inner
        inner.dataReceived = lambda data: inner.transport.abortConnection()
        damaged = bytearray(line.client.send(bytes(40_000)) + line.client.send(b"more"))
        damaged[-1] ^= 1
        line.server.dataReceived(bytes(damaged))
        self.assertTrue(line.transport.aborted)
        from cryptography.hazmat.bindings._rust import _openssl

        self.assertEqual(_openssl.lib.ERR_peek_error(), 0)


class WheelEngineTests(RefusedCertificateTestsMixin, WheelCase):
    def test_what_it_says(self) -> None:
        engine = self.engine()
        self.assertIn("cryptography's libssl (OpenSSL ", engine.name)
        self.assertEqual(engine.renew_contexts, RENEW)
        for version, lacks in ((0x30000000, True), (0x30500000, False)):
            with mock.patch.object(engine, "_version", version):
                self.assertEqual("no X25519MLKEM768" in engine.lacks, lacks)
                self.assertIn("each worker has its own", engine.lacks)

    def test_keys_of_others(self) -> None:
        """It takes none, and goes on with its own."""
        self.engine().share_tickets(bytes(80))
        self.shaken()

    def test_a_chain(self) -> None:
        """The client is shown all of it."""
        # TLS 1.3 encrypts it; that of 1.2 can be read.
        context = AUTHORITY.client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        line = self.line(context=context)
        line.server.dataReceived(line.client.start())
        shown = line.take()
        self.assertEqual(len(line.certificate.chain), 2)
        for each in line.certificate.chain:
            self.assertIn(each, shown)

    def test_a_function_that_is_not_there(self) -> None:
        """It is named."""
        self.engine()
        from subproxy.frontend.tls import wheel_engine

        with mock.patch.object(wheel_engine, "MEMORY_NAMES", ("BIO_meth_new",)):
            error = self.assertRaises(LibraryUnavailable, wheel_engine.WheelEngine)
        self.assertEqual(str(error), "cryptography's libssl has no BIO_meth_new")

    def test_no_bindings(self) -> None:
        self.engine()
        from subproxy.frontend.tls import wheel_engine

        with mock.patch.dict("sys.modules", {"cryptography.hazmat.bindings._rust": None}):
            error = self.assertRaises(LibraryUnavailable, wheel_engine.WheelEngine)
        self.assertIn("cryptography has no bindings", str(error))
