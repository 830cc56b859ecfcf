"""Imports at the start of the proxy."""

import gc
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.process.lean_imports import lean_imports

ROOT = Path(__file__).parents[2]

START = """
import sys
before = set(sys.modules)
import subproxy.tap
options = subproxy.tap.Options()
options.parseOptions([{arguments}])
subproxy.tap.makeService(options)
print("\\n".join(sys.modules.keys() - before))
"""


def loaded(*arguments: str) -> set[str]:
    """
    What a start has loaded when C{arguments} are read and all is made that they ask for, the
    compiled path included, beside what the interpreter comes with: where branches are counted,
    that has read a configuration of its own.
    """
    done = subprocess.run(
        [sys.executable, "-c", START.format(arguments=", ".join(map(repr, arguments)))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.split())


class StartTests(SynchronousTestCase):
    def test_what_a_plain_start_does_not_use(self) -> None:
        """Each is milliseconds of every start, and is loaded where it is asked for."""
        found = loaded("--http=8080", "--vsock=/x")
        self.assertIn("subproxy.app.build", found)
        unwanted = {
            *("difflib", "jsonschema", "rich", "twisted.web", "prometheus_client", "tomllib"),
            *("subproxy.admin", "subproxy.cluster", "subproxy.machines", "subproxy.workers"),
            *("subproxy.app.reload", "subproxy.config.configuration", "subproxy.config.sites"),
            *("OpenSSL", "cryptography", "subproxy.frontend.tls.front", "subproxy.acme"),
            *("subproxy.frontend.peer", "subproxy.frontend.tls._libssl"),
        }
        self.assertEqual(found & unwanted, set())

    def test_a_file(self) -> None:
        """What reads a file is loaded where there is one."""
        file = Path(self.mktemp())
        file.write_text("[http]\nlisten = [8080]\n")
        self.assertIn("subproxy.config.configuration", loaded(f"--config={file.absolute()}"))


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
