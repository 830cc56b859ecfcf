"""Which contexts of certificates are kept."""

from __future__ import annotations

from subproxy.frontend.tls.context_cache import ContextCache
from subproxy.frontend.tls.python_engine import PythonEngine
from tests.frontend.tls.engine_case import EngineCase
from tests.rigs.tls_line import Line


class ContextCacheTests(EngineCase):
    def engine(self) -> PythonEngine:
        return PythonEngine()

    def test_kept(self) -> None:
        line = self.line()
        contexts = line.contexts
        first = contexts.context(Line.certificate)
        self.assertIs(contexts.context(Line.certificate), first)
        self.assertIsNot(contexts.context(Line.other), first)
        self.assertEqual(len(contexts), 2)

    def test_most(self) -> None:
        """Who was not asked for longest goes."""
        contexts = ContextCache(PythonEngine(), (b"http/1.1",), self.line().clock.seconds, 1)
        first = contexts.context(Line.certificate)
        contexts.context(Line.other)
        self.assertEqual(len(contexts), 1)
        self.assertIsNot(contexts.context(Line.certificate), first)

    def test_renewed(self) -> None:
        """Where ticket keys do not rotate by themselves."""
        line = self.line()
        first = line.contexts.context(Line.certificate)
        line.clock.advance(PythonEngine.renew_contexts - 1)
        self.assertIs(line.contexts.context(Line.certificate), first)
        line.clock.advance(2)
        self.assertIsNot(line.contexts.context(Line.certificate), first)
