"""Starts the processes of machines."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from subproxy.machines.child_process import ChildProcess
from subproxy.machines.vmm.driver import Launch
from subproxy.machines.vmm.machine_run import Child

KEPT: Final = ("PATH", "LANG", "LC_ALL", "TZ")
"""What a VMM has of our environment; the rest, secrets perhaps, is not its business."""


def environment_of(launch: Launch, environment: Mapping[str, str]) -> dict[str, str]:
    """What a VMM has as its environment. Files without a name go to the machine's folder."""
    kept = {name: environment[name] for name in KEPT if name in environment}
    return {**kept, "TMPDIR": str(launch.folder), "HOME": str(launch.folder)}


class PlainStarter:
    """
    A L{ProcessStarter<subproxy.machines.vmm.machine_run.ProcessStarter>}: each process has no
    descriptor that is not meant for it, can gain no privileges, ends with us, and is another user's
    if the machine says so.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def spawn(
        self,
        launch: Launch,
        command: list[str],
        output: Path,
        errors: Path,
        descriptors: Mapping[int, int],
    ) -> Child:
        """As in L{ProcessStarter<subproxy.machines.vmm.machine_run.ProcessStarter>}."""
        return ChildProcess.spawn(
            self._reactor,
            command,
            output,
            errors,
            environment=environment_of(launch, os.environ),
            folder=launch.folder,
            user=launch.machine.user,
            descriptors=descriptors,
        )

    def adopt(self, pid: int) -> Child:
        """As in L{ProcessStarter<subproxy.machines.vmm.machine_run.ProcessStarter>}."""
        return ChildProcess.adopt(self._reactor, pid)
