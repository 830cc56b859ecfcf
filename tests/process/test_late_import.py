"""Modules that are loaded at the first look into them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.process.late_import import UNUSED, LateModuleFinder
from tests.rigs.paths import ROOT

LATE = """
import sys
from subproxy.process.late_import import LateModule, load_late
sys.path.insert(0, {folder!r})
load_late(frozenset({{"asyncio.sslproto", "ssl", "broken"}}))
"""

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
        unwanted |= {"_bz2", "_hashlib", "_lzma", "_ssl"}
        self.assertEqual(self.said(START.format(unwanted=unwanted)), ["set()", "True", ""])

    def test_a_web_socket(self) -> None:
        """It needs no libcrypto, nor a descriptor to load that by."""
        program = (
            "import resource, sys\n"
            "from subproxy.process.late_import import load_late\n"
            "load_late()\n"
            "from subproxy.core.http.upgrade import websocket_accept\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))\n"
            "print(websocket_accept(b'dGhlIHNhbXBsZSBub25jZQ=='), '_hashlib' in sys.modules)\n"
        )
        self.assertEqual(self.said(program), ["b's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' False", ""])

    def said(self, program: str) -> list[str]:
        """The lines of a process of its own: in this one all may be loaded."""
        kept = os.environ.items()
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            # What measures branches loads modules of its own.
            env={name: value for name, value in kept if not name.startswith("COVERAGE_PROCESS")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.stderr, "")
        return done.stdout.split("\n")

    def test_imported_again(self) -> None:
        """That loads nothing; to look into it does, and it is a module as all are then."""
        program = LATE.format(folder="") + (
            "import asyncio\n"
            "import ssl\n"
            "import ssl as again\n"
            "print(type(ssl) is LateModule, '_ssl' in sys.modules)\n"
            "print(asyncio.base_events.sslproto.SSLProtocol.__name__)\n"
            "print(type(ssl) is type(sys), again is sys.modules['ssl'])\n"
            "print(type(ssl.__loader__).__name__)\n"
            "print(ssl.create_default_context().check_hostname)\n"
            "print(hasattr(ssl, 'nothing'))\n"
        )
        self.assertEqual(
            self.said(program),
            ["True False", "SSLProtocol", "True True", "SourceFileLoader", "True", "False", ""],
        )

    def test_names_of_it(self) -> None:
        """To import a name loads it."""
        program = LATE.format(folder="") + (
            "from ssl import SSLContext\nprint(SSLContext.__name__, '_ssl' in sys.modules)\n"
        )
        self.assertEqual(self.said(program), ["SSLContext True", ""])

    def test_what_fails(self) -> None:
        """Each time that it is looked into."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "broken.py").write_text("import nowhere\n")
        program = LATE.format(folder=str(folder.absolute())) + (
            "import broken\n"
            "for turn in range(2):\n"
            "    try:\n"
            "        broken.anything\n"
            "    except ImportError as error:\n"
            "        print(error.name)\n"
        )
        self.assertEqual(self.said(program), ["nowhere", "nowhere", ""])

    def test_others(self) -> None:
        """Are found by others."""
        finder = LateModuleFinder(UNUSED)
        self.assertIsNone(finder.find_spec("json"))
        self.assertIsNone(LateModuleFinder(frozenset({"nowhere"})).find_spec("nowhere"))
