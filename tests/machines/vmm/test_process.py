"""Machines that are processes: real ones, in the reactor of the tests."""

from __future__ import annotations

import signal
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from subproxy.machines.declaration import PROCESS, Machine
from subproxy.machines.vmm.driver import Launch, VmmEnded
from subproxy.machines.vmm.process import ProcessVmm


class ProcessTests(TestCase):
    timeout = 60

    def folder(self) -> Path:
        folder = Path(self.mktemp())
        folder.mkdir()
        return folder

    async def ended(self, script: str) -> VmmEnded:
        folder = self.folder()
        machine = Machine(
            name="a", vmm=PROCESS, hosts=("a.example",), command=("/bin/sh", "-c", script)
        )
        launch = Launch(machine, 0, folder, folder / "vsock")
        running = await ProcessVmm(reactor, 12345).start(launch, lambda event: None)
        self.addCleanup(running.kill)
        return await running.ended

    async def test_how_it_ends(self) -> None:
        """By a status, or a signal, which need have no name."""
        unnamed = signal.SIGRTMIN + 6
        for script, reason in (
            ("exit 255", "ended with status 255"),
            ("kill -s KILL $$", "killed by SIGKILL"),
            (f"kill -s {unnamed} $$", f"killed by signal {unnamed}"),
        ):
            self.assertEqual((await self.ended(script)).reason, reason)
