"""Imports at the start of the proxy."""

import gc

from twisted.trial.unittest import SynchronousTestCase

from subproxy.process.lean_imports import lean_imports


class LeanImportsTests(SynchronousTestCase):
    def test_no_collection_meanwhile(self) -> None:
        with lean_imports():
            self.assertFalse(gc.isenabled())
        self.assertTrue(gc.isenabled())

    def test_a_failure(self) -> None:
        """It collects again after an import that failed."""
        with self.assertRaises(ImportError), lean_imports():
            raise ImportError
        self.assertTrue(gc.isenabled())

    def test_who_does_not_collect(self) -> None:
        """Stays so."""
        gc.disable()
        self.addCleanup(gc.enable)
        with lean_imports():
            pass
        self.assertFalse(gc.isenabled())
