"""C{.ci/nightly}: steps by name, and the last result of each."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT

SCRIPT = ROOT / ".ci/nightly"
MAKEFILE = """
dist:
\t@true
mutation:
\t@false
"""


class NightlyTests(SynchronousTestCase):
    """In a checkout whose C{make} is quick."""

    if shutil.which("git") is None:
        skip = "no git, as on a system that has nothing but what the proxy needs"

    def setUp(self) -> None:
        """A repository with two steps that do next to nothing."""
        self.root = Path(self.mktemp())
        (self.root / ".ci").mkdir(parents=True)
        shutil.copy(SCRIPT, self.root / ".ci")
        (self.root / "Makefile").write_text(MAKEFILE)
        who = ("-c", "user.name=us", "-c", "user.email=us@localhost")
        for arguments in (("init", "-q"), (*who, "commit", "-q", "--allow-empty", "-m", "one")):
            subprocess.run(("git", *arguments), cwd=self.root, check=True)

    def nightly(self, *steps: str) -> subprocess.CompletedProcess[str]:
        """Run these."""
        command = (str(self.root / ".ci/nightly"), *steps)
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def known(self) -> list[list[str]]:
        """Each step of which there is a result, and how it came out."""
        lines = (self.root / ".cache/nightly.txt").read_text().splitlines()
        return [line.split()[:2] for line in lines]

    def test_the_last_result_of_each(self) -> None:
        """It stays while others are run, and gives way to the next of the same step."""
        self.assertEqual(self.nightly("mutation", "dist").returncode, 1)
        self.assertEqual(self.known(), [["mutation", "FAILED"], ["dist", "passed"]])
        (self.root / "Makefile").write_text(MAKEFILE.replace("false", "true"))
        ran = self.nightly("mutation")
        self.assertEqual(ran.returncode, 0)
        self.assertEqual(self.known(), [["dist", "passed"], ["mutation", "passed"]])
        self.assertIn((self.root / ".cache/nightly.txt").read_text(), ran.stdout)

    def test_an_unknown_step(self) -> None:
        """Runs nothing, not those before it either."""
        ran = self.nightly("dist", "dust")
        self.assertEqual((ran.returncode, ran.stdout), (2, ""))
        self.assertIn("no step dust", ran.stderr)
        self.assertFalse((self.root / ".cache").exists())

    def test_names(self) -> None:
        """Each has one, and can be run by it."""
        listed = self.nightly("--list").stdout.split()
        self.assertIn("newest-python", listed)
        self.assertEqual(len(set(listed)), len(listed))
