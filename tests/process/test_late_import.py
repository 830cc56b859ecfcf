"""Modules that are loaded at the first look into them."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from subproxy.process.late_import import UNUSED, LazyModuleFinder
from tests.rigs.paths import ROOT

START = """
import sys
from subproxy.process.late_import import load_late
load_late()
from twisted.scripts import twistd
import subproxy.tap
print({unwanted!r} & sys.modules.keys())
from http.cookiejar import CookieJar
assert len(CookieJar()) == 0
print("urllib.request" in sys.modules)
"""


class LateImportTests(SynchronousTestCase):
    def test_a_start(self) -> None:
        """What twistd names is not loaded, nor what it would have loaded; it works if it is."""
        unwanted = {"urllib.request", "http.client", "email", "email.message", "bdb", "cmd"}
        done = subprocess.run(
            [sys.executable, "-c", START.format(unwanted=unwanted)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.stdout.split("\n"), ["set()", "True", ""], done.stderr)

    def test_others(self) -> None:
        """Are found by others."""
        finder = LazyModuleFinder(UNUSED)
        self.assertIsNone(finder.find_spec("json"))
        self.assertIsNone(LazyModuleFinder(frozenset({"nowhere"})).find_spec("nowhere"))
