"""Connections over TLS by Python's ssl: the reference."""

from __future__ import annotations

from subproxy.frontend.tls.python_engine import PythonEngine
from tests.frontend.tls.engine_case import ConnectionTestsMixin, EngineCase


class ConnectionTests(ConnectionTestsMixin, EngineCase):
    def engine(self) -> PythonEngine:
        return PythonEngine()
