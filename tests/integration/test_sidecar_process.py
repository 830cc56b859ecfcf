"""Programs as processes: started, signalled and reaped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from guest.sidecar import process
from guest.sidecar.process import ChildReaper, ProgramProcess
from tests.integration.harness import wait_until


class ProcessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        self.reaper = ChildReaper(self.loop)
        self.addCleanup(self.reaper.stop)

    def start(self, *command: str) -> tuple[ProgramProcess, asyncio.Future[int]]:
        ended = self.loop.create_future()
        return ProgramProcess(self.reaper, command, ended.set_result), ended

    def status(self, ended: asyncio.Future[int]) -> int:
        return self.loop.run_until_complete(asyncio.wait_for(ended, 30))

    def check_statuses(self) -> None:
        program, ended = self.start("sh", "-c", "exit 7")
        self.assertEqual(self.status(ended), 7)
        self.assertFalse(program.running)
        self.assertFalse(program.signal_all(0))
        program.signal(signal.SIGTERM)
        program, ended = self.start("sleep", "1000")
        self.assertTrue(program.running)
        program.signal(signal.SIGKILL)
        self.assertEqual(self.status(ended), 137)

    def test_statuses(self) -> None:
        self.check_statuses()

    def test_statuses_without_descriptors_of_processes(self) -> None:
        def refuse(pid: int) -> int:
            raise PermissionError("a sandbox")

        self.patch(os, "pidfd_open", refuse)
        self.check_statuses()
        _, ended = self.start("sh", "-c", "sleep 0.2")
        self.loop.close()
        time.sleep(0.4)  # the thread that waits for it finds the loop closed
        self.assertFalse(ended.done())

    def test_a_session_of_its_own(self) -> None:
        """With all that it starts."""
        program, ended = self.start("sh", "-c", "sleep 1000 & sleep 1000")
        self.assertEqual(os.getsid(program.pid), program.pid)
        self.assertTrue(program.signal_all(signal.SIGKILL))
        self.assertEqual(self.status(ended), 137)
        wait_until(lambda: not program.signal_all(0), "all of it has ended")

    def test_what_cannot_be_started(self) -> None:
        self.assertRaises(FileNotFoundError, self.start, "no-such-program")
        self.assertRaises(PermissionError, self.start, "/etc/passwd")

    def test_a_group_of_somebody_else(self) -> None:
        program, ended = self.start("sleep", "1000")

        def refuse(pid: int, number: int) -> None:
            raise PermissionError

        with_all = os.killpg
        self.patch(os, "killpg", refuse)
        self.assertTrue(program.signal_all(0))
        with_all(program.pid, signal.SIGKILL)
        self.assertEqual(self.status(ended), 137)

    def test_children_of_others(self) -> None:
        """They are reaped too, and ours are left to who watches them."""
        self.patch(process, "ORPHANS", 0.01)
        other = subprocess.Popen(["true"])
        other.returncode = 0  # it is not waited for here
        program, ended = self.start("sh", "-c", "exit 3")
        self.reaper.adopt()
        self.assertEqual(self.status(ended), 3)
        self.run_until(lambda: not os.path.exists(f"/proc/{other.pid}"))
        self.assertFalse(program.running)

    def run_until(self, true: Callable[[], bool]) -> None:
        def turn() -> bool:
            self.loop.run_until_complete(asyncio.sleep(0.01))
            return true()

        wait_until(turn, "it comes to pass")
