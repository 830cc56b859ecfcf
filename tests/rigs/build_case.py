"""What tests of assembling share: a service of some settings, and what is said of bad ones."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from dataclasses import replace

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app.build import build
from subproxy.app.service import ProxyService
from subproxy.config.settings import Settings


class BuildTestCase(SynchronousTestCase):
    """
    Builds services in memory.

    @ivar settings: what each is made of, but for some changes.
    """

    settings: Settings

    def build(self, **changes: object) -> ProxyService:
        settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        return build(settings, MemoryReactorClock())  # type: ignore[no-untyped-call]

    def complaint(self, **changes: object) -> str:
        said = io.StringIO()
        with redirect_stderr(said):
            error = self.assertRaises(SystemExit, self.build, **changes)
        self.assertEqual(error.code, 1)
        return said.getvalue()
