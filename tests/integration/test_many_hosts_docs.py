"""docs/howto/many-hosts.md, as a reader types it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.etcd import SKIP
from tests.integration.harness import ROOT, TWISTD, free_port, wait_until
from tests.integration.test_tutorial import run_readme

PAGE = ROOT / "docs" / "howto" / "many-hosts.md"
PORTS = ("2379", "2380", "7441", "7442", "8081", "8082")
READY = ("ready to serve client requests", "guests on", "guests on", "registered")
"""What each command that goes on says when the next one may come."""


class ManyHostsPageTests(SynchronousTestCase):
    skip = SKIP

    def test_the_block(self) -> None:
        """Every command of it, in order; the servers until they answer."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        here = Path(folder.name)
        tool = run_readme()
        block = tool.BLOCK.search(PAGE.read_text())
        self.assertEqual(block["test"], "tests/integration/test_many_hosts_docs.py")
        text = block["text"]
        for port in PORTS:
            self.assertIn(port, text)
            text = text.replace(port, str(free_port()))
        running: list[subprocess.Popen[bytes]] = []
        self.addCleanup(lambda: [self.end(each) for each in reversed(running)])
        path = {
            "PATH": f"{Path(TWISTD[0]).parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'examples'}",
        }
        told = ""
        for command, expected in tool.steps(text):
            command = command.replace("python -m", f"{sys.executable} -m")
            if command.endswith(" &"):
                log = here / f"log{len(running)}"
                word = READY[len(running)]
                with log.open("wb") as out:
                    started = subprocess.Popen(
                        ["sh", "-c", f"exec {command[:-2]}"],
                        cwd=here,
                        env=path,
                        stdout=out,
                        stderr=out,
                    )
                running.append(started)
                wait_until(lambda log=log, word=word: word in log.read_text(), f"{log}: {word}")
                continue
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=here,
                env=path,
                capture_output=True,
                check=False,
                text=True,
                timeout=60,
            )
            self.assertEqual(done.returncode, 0, (command, done.stderr))
            if expected:
                self.assertEqual(done.stdout.splitlines(), expected, command)
            told = done.stdout
        self.assertRegex(told, r"(?m)^kvm-1 .* connected +ready +1 ")
        self.assertIn("store: watching; lease: held", told)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
