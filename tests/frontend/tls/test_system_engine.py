"""TLS by the system's libssl, compiled: the tests of the reference, and of what it has more."""

from __future__ import annotations

import ssl
from typing import Any, ClassVar
from unittest import SkipTest, mock

from subproxy.frontend.tls.python_engine import RENEW
from subproxy.frontend.tls.ticket_key_ring import TicketKeyRing
from tests.frontend.tls.compiled_engine_case import (
    CompiledConnectionTestsMixin,
    RefusedCertificateTestsMixin,
)
from tests.frontend.tls.engine_case import EngineCase
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


class SystemConnectionTests(CompiledConnectionTestsMixin, SystemCase):
    def connection_class(self) -> type:
        from subproxy.frontend.tls._connection import CompiledTlsConnection

        return CompiledTlsConnection


class TicketTests(SystemCase):
    """Keys of tickets rotate, and all contexts have the same."""

    def again(self, first: Line, context: ssl.SSLContext, **options: Any) -> bool:
        line = self.shaken(context=context, session=first.client.tls.session, **options)
        return bool(line.client.tls.session_reused)

    def test_rotation(self) -> None:
        """One key is given out for half a day, and good for half a day more."""
        self.engine()
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


class SystemEngineTests(RefusedCertificateTestsMixin, SystemCase):
    def test_what_it_says(self) -> None:
        engine = self.engine()
        self.assertIn("the system's libssl (OpenSSL 3", engine.name)
        self.assertEqual(engine.renew_contexts, 0)
        for version, lacks in ((0x30000000, ("no X25519MLKEM768",)), (0x30500000, ())):
            with mock.patch.object(engine, "_version", version):
                self.assertEqual(engine.lacks, lacks)
