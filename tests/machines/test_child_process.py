"""Processes that outlive the program that started them: real ones, in the reactor of the tests."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from subproxy.machines.child_process import ChildProcess


class ChildProcessTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.output, self.errors = folder / "output", folder / "errors"

    def spawn(self, script: str, **more: object) -> ChildProcess:
        made: ChildProcess = ChildProcess.spawn(
            reactor,
            ["/bin/sh", "-c", script],
            self.output,
            **more,  # type: ignore[arg-type]
        )
        self.addCleanup(made.kill)
        return made

    async def test_status(self) -> None:
        """Its exit status; its output is appended."""
        self.output.write_text("before\n")
        child = self.spawn("echo one; echo two >&2; exit 3")
        self.assertEqual(await child.ended, (3, None))
        self.assertEqual(self.output.read_text(), "before\none\ntwo\n")
        child.kill()

    async def test_signal(self) -> None:
        """Which one has ended it."""
        child = self.spawn("kill -s STOP $$")
        child.kill()
        self.assertEqual(await child.ended, (None, signal.SIGKILL))

    async def test_one_that_can_not_be_watched(self) -> None:
        """It does not run on."""
        full = OSError(errno.EMFILE, "Too many open files")
        before = os.listdir("/proc/self/fd")
        pids: list[int] = []
        real = os.posix_spawn

        def spawn(*args: Any, **more: Any) -> int:
            pids.append(real(*args, **more))
            return pids[-1]

        self.patch(os, "posix_spawn", spawn)
        with mock.patch("os.pidfd_open", side_effect=full):
            self.assertRaises(OSError, self.spawn, "sleep 600")
        self.assertEqual(os.listdir("/proc/self/fd"), before)
        self.assertRaises(ChildProcessError, os.waitpid, pids[0], os.WNOHANG)

    async def test_what_it_has(self) -> None:
        """What it is given, and nothing else: not our descriptors, nor our environment."""
        reading, writing = os.pipe()
        os.set_inheritable(reading, True)
        try:
            child = self.spawn(
                "cat; pwd; echo $MORE $HOME; ls /proc/self/fd >&2; echo said >&5",
                errors=self.errors,
                environment={"MORE": "more", "PATH": os.environ["PATH"]},
                folder=Path("/"),
                descriptors={5: writing},
            )
            self.assertEqual(await child.ended, (0, None))
            self.assertEqual(os.read(reading, 100), b"said\n")
        finally:
            os.close(reading)
            os.close(writing)
        self.assertEqual(self.output.read_text(), "/\nmore\n")
        # The last one is the folder, while it is looked at.
        self.assertEqual(self.errors.read_text().split(), ["0", "1", "2", "3", "5"])

    async def test_session_and_privileges(self) -> None:
        """It leads a session of its own, and can gain nothing."""
        child = self.spawn("cut -d' ' -f6 /proc/$$/stat; grep NoNewPrivs /proc/$$/status; echo $$")
        await child.ended
        session, _, flag, pid = self.output.read_text().split()
        self.assertEqual((session, flag), (pid, "1"))

    async def test_adopted(self) -> None:
        """By another program in this process; its status is known, too."""
        first = self.spawn("exec sleep 600")
        second = ChildProcess.adopt(reactor, first.pid)
        second.kill()
        found = await second.ended
        self.assertIn(found, [(None, signal.SIGKILL), (None, None)])
        await first.ended
        self.assertRaises(OSError, ChildProcess.adopt, reactor, first.pid)

    def test_refused(self) -> None:
        """No such program, no such user, a link in the place of its output."""
        for command, more in ((["/nowhere/x"], {}), (["true"], {"user": "nobody-such"})):
            with self.assertRaises(OSError):
                ChildProcess.spawn(reactor, command, self.output, **more)
        self.output.unlink(missing_ok=True)
        self.output.symlink_to(self.errors)
        self.assertRaises(OSError, ChildProcess.spawn, reactor, ["true"], self.output)
        self.assertFalse(self.errors.exists())
