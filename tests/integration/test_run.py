"""C{subproxy run}: the real proxy, without C{twistd} on its command line."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import Process, World, wait_until
from tests.integration.successors import Line

RUN = [sys.executable, "-m", "subproxy", "run"]


class RunTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)

    def start(self, *options: str) -> Process:
        world = self.world
        listens = [f"--http=tcp:{world.port}:interface=127.0.0.1", f"--vsock={world.vsock}"]
        world.proxy = world.start("proxy", [*RUN, *listens, "--access-log=none", *options])
        world.proxy.wait_for("HTTP on")
        return world.proxy

    def test_a_request(self) -> None:
        """It serves, has written no pid file, and ends well."""
        proxy = self.start()
        self.world.start_guest("hello:Hello", "--host=blog\\.example")
        self.assertEqual(self.world.ask()[::2], (200, b"hello\n"))
        self.assertEqual([each.name for each in Path(self.world.folder).glob("*.pid")], [])
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(), 0)

    def test_a_hand_over(self) -> None:
        """The next process is run as this one was."""
        proxy = self.start()
        line = Line(self.world)
        self.addCleanup(line.end)
        for _ in range(2):
            successor = line.hand_over()
        line.wait_for_the_old()
        self.assertEqual(self.world.ask()[0], 404)
        told = Path(f"/proc/{successor}/cmdline").read_bytes().split(b"\0")
        self.assertEqual(told[1:4], [b"-m", b"subproxy", b"run"])
        self.assertEqual(proxy.wait(), 0)

    def test_workers(self) -> None:
        """They are as ever, and so is their parent's hand-over."""
        proxy = self.start("--workers=2")
        wait_until(lambda: proxy.whole_lines.count(" serves: process ") == 2, "all workers")
        proxy.signal(signal.SIGUSR2)
        proxy.wait_for(f"process {proxy.child.pid} has taken over")
        self.assertEqual(self.world.ask()[0], 404)

    def test_what_is_wrong(self) -> None:
        """One line, and status 1."""
        for option, why in (
            ("--nonsense=1", "option --nonsense not recognized (subproxy run --help "),
            ("--workers=many", "--workers"),
            ("--http=nowhere:1", "nowhere"),
        ):
            done = subprocess.run(
                [*RUN, option], capture_output=True, text=True, timeout=30, check=False
            )
            self.assertEqual(done.returncode, 1, done)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(why, done.stderr)

    def test_its_options_follow_it(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "subproxy", "--json", "run"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        self.assertEqual(done.returncode, 2)
        self.assertIn("subproxy run --http=8080", done.stderr)
