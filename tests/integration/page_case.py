"""A block of the documentation, as a reader types it: what ends is awaited, what serves goes on."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import ROOT, TWISTD, free_port, wait_until
from tests.integration.test_tutorial import run_readme

_PATHS = {
    "PATH": f"{Path(TWISTD[0]).parent}:/usr/local/bin:/usr/bin:/bin",
    "PYTHONPATH": f"{ROOT}:{ROOT / 'examples'}",
}


class PageCase(SynchronousTestCase):
    """Runs the block of a page."""

    def follow(self, page: Path, test: str, ports: Iterable[str], ready: Sequence[str]) -> str:
        """
        Every command of it, in order; what each should print is compared.

        @param test: the file of the test, which the page names.
        @param ports: those that are written there; others, which are free, take their places.
        @param ready: what each command that goes on says when the next one may come.
        @return: what the last one printed.
        """
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        here = Path(folder.name)
        tool = run_readme()
        block = tool.BLOCK.search(page.read_text())
        self.assertEqual(block["test"], test)
        text, fresh = block["text"], {port: str(free_port()) for port in ports}
        for port in fresh:
            self.assertIn(port, text)
        # All at once: a free port may have one of the others in it.
        text = re.sub("|".join(fresh), lambda found: fresh[found[0]], text)
        started = 0
        told = ""
        for command, expected in tool.steps(text):
            command = command.replace("python -m", f"{sys.executable} -m")
            if command.endswith(" &"):
                self._begin(command[:-2], here, here / f"log{started}", ready[started])
                started += 1
                continue
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=here,
                env=_PATHS,
                capture_output=True,
                check=False,
                text=True,
                timeout=60,
            )
            self.assertEqual(done.returncode, 0, (command, done.stderr))
            if expected:
                self.assertEqual(done.stdout.splitlines(), expected, command)
            told = done.stdout
        self.assertEqual(started, len(ready))
        return told

    def _begin(self, command: str, here: Path, log: Path, word: str) -> None:
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["sh", "-c", f"exec {command}"], cwd=here, env=_PATHS, stdout=out, stderr=out
            )
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.send_signal, signal.SIGTERM)
        wait_until(lambda: word in log.read_text(), f"{log.name}: {word}")
