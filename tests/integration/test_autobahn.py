"""
Autobahn|Testsuite through the proxy, to an application of the guest library: RFC 6455 and 7692.

Its client runs on Python 2.7 or PyPy 2 alone: without one this is skipped. All that it tells must
be as it likes it, but what is informational. In frames, and over data connections; a tunnel that
moves is among the former: the cases of part 9 are long enough for that. Of compression, where each
of 216 cases has a thousand messages, a few of each kind are played.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.harness import ROOT, World

SUITE = "autobahntestsuite==25.10.1"
FOLDER = ROOT / ".cache" / SUITE
PARTS = tuple(f"{part}.*" for part in (*range(1, 8), 10))
"""All but sizes (part 9) and compression (12 and 13)."""

COMPRESSED = (
    *("12.1.1", "12.1.2", "12.1.10", "12.2.5", "12.3.8", "12.4.1", "12.5.3"),
    *("13.1.1", "13.3.5", "13.5.9", "13.7.1"),
)
RUN = (
    "import sys; sys.argv = ['wstest', '-m', 'fuzzingclient', '-s', sys.argv[1]];"
    "from autobahntestsuite.wstest import run; run()"
)
FINE = {"OK", "INFORMATIONAL"}


def interpreter() -> str:
    """A Python that the suite runs on, with pip."""
    names = ["python2.7", "pypy", "pypy2"]
    found = [path for name in names if (path := shutil.which(name)) is not None]
    found += map(str, Path.home().glob(".pyenv/versions/2.7*/bin/python"))
    for path in found:
        done = subprocess.run([path, "-m", "pip", "--version"], capture_output=True, check=False)
        if done.returncode == 0:
            return path
    raise SkipTest("neither Python 2.7 nor PyPy 2 with pip")


def install(python: str) -> None:
    """The suite, as it is on the index, into a folder of its own."""
    if (FOLDER / "zope" / "__init__.py").exists():
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--target", str(FOLDER), SUITE], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SkipTest(f"no package index: {done.stderr[-300:]}")
    # Namespaces need a site-packages of their own, which a target is not.
    (FOLDER / "zope" / "__init__.py").touch()


class AutobahnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.python = interpreter()
        install(self.python)
        self.world = World()
        self.addCleanup(self.world.close)
        self.world.start_proxy()
        command = [sys.executable, "-m", "guest", f"--proxy=unix:{self.world.vsock}_12345"]
        command += [r"--host=127\.0\.0\.1", "tests.integration.web_socket_app:Echo"]
        self.world.start("guest", command).wait_for("registered")

    def play(self, path: str, *cases: str) -> int:
        """Play these; how many they were."""
        report = self.world.folder / "report"
        spec = self.world.folder / "spec.json"
        said = {
            "outdir": str(report),
            "servers": [{"agent": "guest", "url": f"ws://127.0.0.1:{self.world.port}/{path}"}],
            "cases": list(cases),
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        spec.write_text(json.dumps(said))
        done = subprocess.run(
            [self.python, "-c", RUN, str(spec)],
            env={**os.environ, "PYTHONPATH": str(FOLDER)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        found = json.loads((report / "index.json").read_text())["guest"]
        wrong = {
            case: (each["behavior"], each["behaviorClose"])
            for case, each in found.items()
            if not FINE.issuperset((each["behavior"], each["behaviorClose"]))
        }
        self.assertEqual(wrong, {})
        assert self.world.proxy is not None
        self.assertNotIn("Traceback", self.world.proxy.output)
        return len(found)

    def test_in_frames(self) -> None:
        self.assertEqual(self.play("chat", *PARTS, "9.*"), 247 + 54)

    def test_compressed(self) -> None:
        self.assertEqual(self.play("chat", *COMPRESSED), len(COMPRESSED))

    def test_over_data_connections(self) -> None:
        self.assertEqual(self.play("bulk", *PARTS), 247)
