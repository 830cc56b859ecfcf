"""Connections over TLS by the system's libssl, compiled: the same tests as of the reference."""

from __future__ import annotations

from typing import Any, ClassVar
from unittest import SkipTest

from tests.frontend.tls.engine_case import ConnectionTestsMixin, EngineCase


class SystemConnectionTests(ConnectionTestsMixin, EngineCase):
    made: ClassVar[Any] = None

    def engine(self) -> Any:
        if self.made is None:
            try:
                from subproxy.frontend.tls.system_engine import SystemEngine
            except ImportError as error:
                raise SkipTest(str(error))
            type(self).made = SystemEngine()
        return self.made
