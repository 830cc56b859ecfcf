"""docs/howto/tls.md, as a reader types it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import ROOT, TWISTD, free_port, wait_until
from tests.integration.test_tutorial import run_readme

PAGE = ROOT / "docs" / "howto" / "tls.md"


class TlsPageTests(SynchronousTestCase):
    def test_the_block(self) -> None:
        """Every command of it, in order; the servers until they answer."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        here = Path(folder.name)
        tool = run_readme()
        block = tool.BLOCK.search(PAGE.read_text())
        self.assertEqual(block["test"], "tests/integration/test_tls_docs.py")
        running: list[subprocess.Popen[bytes]] = []
        self.addCleanup(lambda: [self.end(each) for each in running])
        port = str(free_port())
        binaries = Path(TWISTD[0]).parent
        path = {"PATH": f"{binaries}:/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{ROOT / 'examples'}"}
        told = ""
        for command, expected in tool.steps(block["text"].replace("8443", port)):
            command = command.replace("python -m", f"{sys.executable} -m")
            if command.endswith(" &"):
                log = here / f"log{len(running)}"
                with log.open("wb") as out:
                    running.append(
                        subprocess.Popen(
                            ["sh", "-c", f"exec {command[:-2]}"],
                            cwd=here,
                            env=path,
                            stdout=out,
                            stderr=out,
                        )
                    )
                word = "guests on" if len(running) == 1 else "registered"
                wait_until(lambda log=log, word=word: word in log.read_text(), log.name)
                continue
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=here,
                env=path,
                capture_output=True,
                check=False,
                text=True,
                timeout=30,
            )
            self.assertEqual(done.returncode, 0, (command, done.stderr))
            if expected:
                self.assertEqual(done.stdout.splitlines(), expected, command)
            told = done.stdout
        self.assertIn("*.blog.example, blog.example", told)
        self.assertRegex(told, r"29\.9|30\.0")

    def end(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        process.wait(15)
