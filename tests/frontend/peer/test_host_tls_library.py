"""Which engine does TLS between hosts, and why not a better one."""

from __future__ import annotations

import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.peer.host_tls_library import choose_host_tls
from subproxy.frontend.tls.interfaces import LibraryUnavailable
from tests.frontend.peer.host_tls_case import compiled_engine

MODULE = "subproxy.frontend.peer.compiled_host_tls"
LOADER = "subproxy.frontend.tls.system_engine"


class ChoiceTests(SynchronousTestCase):
    def test_python(self) -> None:
        """Who asks for Python's gets Twisted's; and for the wheel's, which is what Twisted has."""
        for asked in ("wheel", "python"):
            engine, why = choose_host_tls(asked)
            self.assertEqual((engine.name, why), ("Twisted's TLS", ""))

    def test_the_best(self) -> None:
        wanted = compiled_engine().name
        for asked in ("auto", "system"):
            engine, why = choose_host_tls(asked)
            self.assertEqual((engine.name, why), (wanted, ""))

    def test_not_compiled(self) -> None:
        """It is Twisted's, and it is told why; or nothing, if the other was asked for by name."""
        before = sys.modules.pop(MODULE, None)
        if before is not None:
            self.addCleanup(sys.modules.__setitem__, MODULE, before)
        self.addCleanup(sys.modules.pop, MODULE, None)
        modules: dict[str, Any] = sys.modules  # type: ignore[assignment]
        modules[MODULE] = None
        engine, why = choose_host_tls("auto")
        self.assertEqual(engine.name, "Twisted's TLS")
        self.assertIn("its layer is not compiled", why)
        self.assertRaises(LibraryUnavailable, choose_host_tls, "system")

    def test_something_is_missing(self) -> None:
        """In the library."""
        compiled_engine()

        def lacks(_: int) -> None:
            raise OSError("it has no SSL_ctrl")

        self.patch(sys.modules[LOADER], "load", lacks)
        engine, why = choose_host_tls("auto")
        self.assertEqual(engine.name, "Twisted's TLS")
        self.assertIn("it has no SSL_ctrl", why)
