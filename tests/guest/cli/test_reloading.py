"""Tests for L{guest.cli.reloading}."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from guest.cli import reloading


class ReloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def write(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        return path

    def test_what_is_looked_at(self) -> None:
        """Python files, but none of hidden folders, nor of environments."""
        for name in ("a.py", "b/c.py", "d.txt", ".git/e.py", "__pycache__/f.py", "env/g.py"):
            self.write(name)
        self.write("env/pyvenv.cfg")
        found = sorted(os.path.relpath(each, self.folder) for each in reloading.stamps(self.folder))
        self.assertEqual(found, ["a.py", "b/c.py"])

    def test_a_change(self) -> None:
        """The child ends, and another one begins; a signal ends both."""
        path = self.write("a.py")
        log = self.folder / "log"
        code = f"open({str(log)!r}, 'a').write('begun\\n'); import time; time.sleep(600)"
        looks = 0

        def sleep(seconds: float) -> None:
            nonlocal looks
            looks += 1
            begun = 1 if looks == 1 else 2
            while not log.exists() or log.read_text().count("begun") < begun:
                os.sched_yield()
            if looks == 1:
                os.utime(path, ns=(1, 1))
            else:
                signal.raise_signal(signal.SIGTERM)

        command = [sys.executable, "-c", code]
        restart = reloading.RestartOnChange(command, self.folder, sleep)
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            status = restart.run()
        self.assertEqual((status, looks), (0, 2))
        self.assertEqual(said.getvalue(), "guest: a.py has changed: reloading\n")

    def test_a_signal_between_two_children(self) -> None:
        """No other one begins: nobody would end it."""
        path, begun = self.write("a.py"), []
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        restart = reloading.RestartOnChange(
            command, self.folder, lambda seconds: os.utime(path, ns=(1, 1))
        )
        end, real = restart._end, subprocess.Popen

        def ended() -> None:
            end()
            signal.raise_signal(signal.SIGTERM)

        def popen(*args: Any, **more: Any) -> Any:
            begun.append(args)
            return real(*args, **more)

        restart._end = ended  # type: ignore[method-assign]
        self.patch(reloading.subprocess, "Popen", popen)
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual((restart.run(), len(begun)), (0, 1))

    def test_a_signal_while_a_child_begins(self) -> None:
        """It is told, too."""
        real = subprocess.Popen

        def popen(*args: Any, **more: Any) -> Any:
            child = real(*args, **more)
            signal.raise_signal(signal.SIGTERM)
            return child

        self.patch(reloading.subprocess, "Popen", popen)
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        restart = reloading.RestartOnChange(command, self.folder)
        self.assertEqual(restart.run(), 0)
        assert restart._child is not None
        self.assertEqual(restart._child.returncode, -signal.SIGTERM)

    def test_it_runs_by_the_name_that_it_had(self) -> None:
        """C{-m guest} would be the C{guest.py} of the current folder, if there is one."""
        for called, command in (
            ("/usr/bin/subproxy-guest", ["/usr/bin/subproxy-guest"]),
            ("/x/guest/__main__.py", ["-m", "guest"]),
        ):
            self.assertEqual(reloading.own_command(called), [sys.executable, *command])

    def test_the_status_of_the_child(self) -> None:
        def sleep(seconds: float) -> None:
            assert restart._child is not None
            restart._child.wait()
            signal.raise_signal(signal.SIGTERM)

        restart = reloading.RestartOnChange(
            [sys.executable, "-c", "raise SystemExit(3)"], self.folder, sleep
        )
        self.assertEqual(restart.run(), 3)
