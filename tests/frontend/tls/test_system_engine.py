"""TLS by the system's libssl, compiled: the tests of the reference, and of what it has more."""

from __future__ import annotations

import gc
import ssl
from typing import Any, ClassVar
from unittest import SkipTest, mock

from subproxy.core.http.host_names import HostNames
from subproxy.frontend.tls.certificate import Certificate, CertificateError
from subproxy.frontend.tls.front import TlsFactory
from subproxy.frontend.tls.interfaces import LibraryUnavailable
from subproxy.frontend.tls.library import choose_library
from subproxy.frontend.tls.python_engine import RENEW, PythonEngine
from subproxy.frontend.tls.ticket_key_ring import TicketKeyRing
from tests.frontend.tls.engine_case import ConnectionTestsMixin, EngineCase
from tests.rigs.tls_line import AUTHORITY, Line

VERSIONS = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2)


class SystemCase(EngineCase):
    made: ClassVar[Any] = None

    def engine(self) -> Any:
        if SystemCase.made is None:
            try:
                from subproxy.frontend.tls.system_engine import SystemEngine
            except ImportError as error:
                raise SkipTest(str(error))
            SystemCase.made = SystemEngine()
        return SystemCase.made


class SystemConnectionTests(ConnectionTestsMixin, SystemCase):
    def test_freed(self) -> None:
        """A connection that is over leaves nothing, wherever it ended."""
        from subproxy.frontend.tls._connection import CompiledTlsConnection

        def count() -> int:
            gc.collect()
            return sum(type(each) is CompiledTlsConnection for each in gc.get_objects())

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


class TicketTests(SystemCase):
    """Keys of tickets rotate, and all contexts have the same."""

    def again(self, first: Line, context: ssl.SSLContext, **options: Any) -> bool:
        line = self.shaken(context=context, session=first.client.tls.session, **options)
        return bool(line.client.tls.session_reused)

    def test_rotation(self) -> None:
        """One key is given out for half a day, and good for half a day more."""
        from subproxy.frontend.tls._libssl import age_ticket_keys

        for version in VERSIONS:
            for hours, resumed in ((0, True), (11.9, True), (12.1, True), (24.1, False)):
                self.engine()
                age_ticket_keys(int(3 * RENEW))
                context = AUTHORITY.client_context()
                context.maximum_version = version
                first = self.shaken(context=context)
                if hours > 12:
                    # In two steps, as time has it: who comes in between lets the key rotate.
                    age_ticket_keys(int(12.05 * 3600))
                    self.shaken()
                    hours -= 12.05
                age_ticket_keys(int(hours * 3600))
                found = self.again(first, context, contexts=first.contexts)
                self.assertEqual(found, resumed, (version, hours))

    def test_shared(self) -> None:
        """Who has the keys of others resumes what they began, and no more when they have gone."""
        self.addCleanup(self.engine().share_tickets, b"")
        now = [0.0]
        ring = TicketKeyRing(lambda: now[0])
        for version in VERSIONS:
            context = AUTHORITY.client_context()
            context.maximum_version = version
            self.engine().share_tickets(ring.keys)
            first = self.shaken(context=context)
            for hours, resumed in ((0, True), (12, True), (24, False)):
                now[0] += hours and 12 * 3600
                self.assertEqual(ring.rotate(), bool(hours))
                # As another process that has heard of none before.
                self.engine().share_tickets(b"")
                self.engine().share_tickets(ring.keys)
                self.assertEqual(self.again(first, context), resumed, (version, hours))
        self.engine().share_tickets(b"")
        self.assertFalse(self.again(first, context))
        for wrong in (b"1", bytes(79), bytes(161)):
            self.assertRaises(ValueError, self.engine().share_tickets, wrong)

    def test_another_context_of_the_same_certificate(self) -> None:
        """One that was made anew resumes what the other one began."""
        for version in VERSIONS:
            context = AUTHORITY.client_context()
            context.maximum_version = version
            first = self.shaken(context=context)
            self.assertTrue(self.again(first, context))

    def test_forged(self) -> None:
        """A ticket that is not ours, or was touched, begins a session of its own."""
        context = AUTHORITY.client_context()
        first = self.shaken(context=context)
        line = self.line(context=context, session=first.client.tls.session)
        hello = bytearray(line.client.start())
        hello[-60] ^= 1  # within the ticket or its binder
        line.server.dataReceived(bytes(hello))
        self.assertFalse(line.client.ready)


class SystemEngineTests(SystemCase):
    def test_what_it_says(self) -> None:
        engine = self.engine()
        self.assertIn("the system's libssl (OpenSSL 3", engine.name)
        self.assertEqual(engine.renew_contexts, 0)
        for version, lacks in ((0x30000000, ("no X25519MLKEM768",)), (0x30500000, ())):
            with mock.patch.object(engine, "_version", version):
                self.assertEqual(engine.lacks, lacks)

    def test_a_certificate_that_it_does_not_take(self) -> None:
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

    def test_a_library_that_fails(self) -> None:
        """It is not used if its handshake does not work."""
        from subproxy.frontend.tls import system_engine

        self.engine()
        for error in (ssl.SSLError("why"), AssertionError("why")):
            with mock.patch.object(system_engine, "try_out", side_effect=error):
                failure = self.assertRaises(LibraryUnavailable, system_engine.SystemEngine)
                self.assertIn("fails:", str(failure))
        with mock.patch.object(system_engine, "load", side_effect=OSError("not there")):
            engine, why = choose_library("auto")
            self.assertIsInstance(engine, PythonEngine)
            self.assertIn("not there", why)
            self.assertRaises(LibraryUnavailable, choose_library, "system")

    def test_not_compiled(self) -> None:
        with mock.patch.dict("sys.modules", {"subproxy.frontend.tls.system_engine": None}):
            engine, why = choose_library("auto")
            self.assertIsInstance(engine, PythonEngine)
            self.assertIn("not compiled", why)
            self.assertRaises(LibraryUnavailable, choose_library, "system")
        self.assertIsInstance(choose_library("python")[0], PythonEngine)

    def test_chosen(self) -> None:
        engine = self.engine()
        for asked in ("auto", "system"):
            found, why = choose_library(asked)
            self.assertEqual((type(found), why), (type(engine), ""))
