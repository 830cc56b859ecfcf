"""What an operator types: the real command on a real terminal, and a log that grows."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import ROOT, World, wait_until


class OperatorTerminalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.log = self.world.folder / "access.log"
        admin = self.world.folder / "admin.sock"
        self.world.start_proxy(f"--admin={admin}", f"--access-log={self.log}")
        self.world.start_guest("hello:Hello", r"--host=blog\.example")
        self.command = [sys.executable, "-m", "subproxy", f"--admin={admin}"]

    def test_top(self) -> None:
        """It stays in place, takes keys, and leaves the terminal as it was."""
        terminal, inside = pty.openpty()
        self.addCleanup(os.close, terminal)
        self.addCleanup(os.close, inside)
        termios.tcsetwinsize(terminal, (30, 120)) if hasattr(termios, "tcsetwinsize") else None
        before = termios.tcgetattr(inside)
        process = subprocess.Popen(
            [*self.command, "top", "--interval=0.2"],
            stdin=inside,
            stdout=inside,
            stderr=inside,
            cwd=ROOT,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "30"},
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        seen = b""

        def shows(text: bytes) -> bool:
            nonlocal seen
            if select.select([terminal], [], [], 0)[0]:
                seen += os.read(terminal, 65536)
            return text in seen

        wait_until(lambda: shows(b"PING MS"), "the table of subscribers")
        self.assertIn(b"\x1b[?1049h", seen)
        os.write(terminal, b"v")
        wait_until(lambda: shows(b"FIRST BYTE MS"), "the table of routes")
        self.assertIn(rb"blog\.example /.*", seen)
        os.write(terminal, b"q")
        wait_until(lambda: shows(b"\x1b[?1049l"), "the screen of before")
        self.assertEqual(process.wait(30), 0)
        self.assertEqual(termios.tcgetattr(inside), before)

    def test_logs(self) -> None:
        """What is there, and what comes, as far as it is wanted; from where the proxy writes it."""
        self.assertEqual(self.world.ask("/first")[0], 200)
        wait_until(lambda: b"/first" in self.log.read_bytes(), "it is written")
        follow = [*self.command, "logs", "--follow", "--host=blog.example", "--status=200"]
        reading = self.world.start("logs", follow)
        reading.wait_for("GET /first ")
        self.assertEqual(self.world.ask(host="nobody.example")[0], 404)
        self.assertEqual(self.world.ask("/second")[0], 200)
        reading.wait_for("GET /second ")
        self.assertEqual(reading.output.count("\n"), 2)
