"""Where the time of a start goes, by what a console says."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from guest.image import measure
from guest.image.machines import BootSpec
from guest.image.measure import BootTimes, MeasureError, split, table
from tests.rigs.paths import ROOT

CONSOLE = [
    (3.0, b"[    2.1] something of the kernel\n"),
    (3.4, b"subproxy-init: [2.75] up\n"),
    (3.75, b"subproxy-init: [3.00] starting /usr/bin/python3 -m guest registered host=a\n"),
    (4.0, b"guest: hello:Hello is a SubscriberProtocol, on Twisted\n"),
    (5.25, b"registered host=machine\\.invalid path=/.*\n"),
    (5.5, b"registered host=b path=/.*\n"),
]


class SplitTests(SynchronousTestCase):
    def test_the_parts(self) -> None:
        """The machine's clock and ours are set against each other by one line."""
        times = split(CONSOLE, 6.0, 0.5, 130.0)
        self.assertEqual(
            times,
            BootTimes(load=0.75, kernel=2.75, init=0.25, register=1.75, answer=0.5, memory=130.0),
        )
        self.assertEqual(times.total, 6.0)

    def test_a_console_without_a_line(self) -> None:
        for missing in (1, 2, 4):
            lines = [each for number, each in enumerate(CONSOLE) if number not in (missing, 5)]
            with self.assertRaises(MeasureError):
                split(lines, 6.0, 0.5, 130.0)

    def test_medians_are_told(self) -> None:
        found = [
            BootTimes(load=n, kernel=1.0, init=0.1, register=0.4, answer=0.01, memory=100.0 + n)
            for n in (0.5, 1.5, 0.25)
        ]
        lines = table(found).splitlines()
        self.assertRegex(lines[0], r"^ +0\.50 s  QEMU")
        self.assertRegex(lines[-2], r"^ +2\.01 s  in all \(1\.76 to 3\.01, of 3\)$")
        self.assertRegex(lines[-1], r"^ +100 MB")


ENDED = """
import os, signal, sys
from guest.image.measure import _ended

with _ended() as spawn:
    child = spawn(["sleep", "1000"])
    print(child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    child.wait()
"""


class EndTests(SynchronousTestCase):
    def test_nothing_is_left_running(self) -> None:
        """Not even where whoever measures is told to end."""
        done = subprocess.run(
            [sys.executable, "-c", ENDED],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 128 + signal.SIGTERM)
        self.assertFalse(Path(f"/proc/{int(done.stdout)}").exists())


class NeedsTests(SynchronousTestCase):
    def test_without_qemu(self) -> None:
        """It is said before anything is started."""
        self.patch(measure.shutil, "which", lambda name: None)
        error = self.assertRaises(
            MeasureError, measure.measure, BootSpec("a", "b", "c", 192), 1, lambda line: None
        )
        self.assertEqual(
            str(error), "no qemu-system-x86_64 and no vhost-device-vsock here: --measure wants QEMU"
        )
