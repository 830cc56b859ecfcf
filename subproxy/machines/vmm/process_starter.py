"""Starts the processes of machines."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from subproxy.machines.child_process import ChildProcess
from subproxy.machines.vmm.confinement import Confinement
from subproxy.machines.vmm.driver import Launch
from subproxy.machines.vmm.machine_run import Child

KEPT: Final = ("PATH", "LANG", "LC_ALL", "TZ")
"""What a VMM has of our environment; the rest, secrets perhaps, is not its business."""


def environment_of(launch: Launch, environment: Mapping[str, str]) -> dict[str, str]:
    """What a VMM has as its environment. Files without a name go to the machine's folder."""
    kept = {name: environment[name] for name in KEPT if name in environment}
    return {**kept, "TMPDIR": str(launch.folder), "HOME": str(launch.folder)}


class ConfinedStarter:
    """
    A L{ProcessStarter<subproxy.machines.vmm.machine_run.ProcessStarter>}: each process has no
    descriptor that is not meant for it, can gain no privileges, ends with us, and is confined.
    """

    def __init__(self, reactor: Any, confinement: Confinement) -> None:
        self._reactor = reactor
        self._confinement = confinement

    def admit(self, launch: Launch) -> None:
        """As in L{ProcessStarter<subproxy.machines.vmm.machine_run.ProcessStarter>}."""
        self._confinement.admit(launch)

    def spawn(
        self,
        launch: Launch,
        name: str,
        command: list[str],
        output: Path,
        errors: Path,
        descriptors: Mapping[int, int],
    ) -> Child:
        """As in L{ProcessStarter<subproxy.machines.vmm.machine_run.ProcessStarter>}."""
        return ChildProcess.spawn(
            self._reactor,
            self._confinement.command(launch, name, command),
            output,
            errors,
            environment=environment_of(launch, os.environ),
            folder=launch.folder,
            descriptors=descriptors,
        )

    def adopt(self, pid: int) -> Child:
        """As in L{ProcessStarter<subproxy.machines.vmm.machine_run.ProcessStarter>}."""
        return ChildProcess.adopt(self._reactor, pid)

    def helpers(self, argument: str) -> list[int]:
        """As in L{ProcessStarter<subproxy.machines.vmm.machine_run.ProcessStarter>}."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                # The program's name in parentheses may hold anything.
                parent = (folder / "stat").read_bytes().rpartition(b")")[2].split()[1]
            except OSError:
                continue
            if int(parent) == os.getpid() and os.fsencode(argument) in words:
                found.append(int(folder.name))
        return found

    def dismiss(self, launch: Launch) -> str:
        """As in L{ProcessStarter<subproxy.machines.vmm.machine_run.ProcessStarter>}."""
        return self._confinement.dismiss(launch)
