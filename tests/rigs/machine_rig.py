"""Machines without processes: children that a test ends, in a folder of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.declaration import Machine
from subproxy.machines.vmm.driver import Launch, VmmEvent, VmmEventKind


@dataclass
class FakeChild:
    """A process that ends when the test says so."""

    pid: int
    command: list[str]
    output: Path
    errors: Path
    descriptors: Mapping[int, int]
    ended: Deferred[tuple[int | None, int | None]] = field(default_factory=Deferred)
    killed: bool = False

    def kill(self) -> None:
        """It was told to."""
        self.killed = True

    def write(self, data: bytes) -> None:
        """It writes to its standard output."""
        _append(self.output, data)

    def complain(self, data: bytes) -> None:
        """It writes to its standard error."""
        _append(self.errors, data)

    def end(self, status: int | None = 0, signal: int | None = None) -> None:
        """It has ended."""
        self.ended.callback((status, signal))


class FakeStarter:
    """Starts L{FakeChild}ren, or fails."""

    def __init__(self) -> None:
        self.children: list[FakeChild] = []
        self.error: OSError | None = None
        self.admitted = 0
        self.known = ""

    def admit(self, launch: Launch) -> None:
        """The first is to come."""
        self.admitted += 1

    def helpers(self, argument: str) -> list[int]:
        """Those that have not ended."""
        return [
            each.pid for each in self.children if argument in each.command and not each.ended.called
        ]

    def dismiss(self, launch: Launch) -> str:
        """The last is gone."""
        self.admitted -= 1
        return self.known

    def spawn(
        self,
        launch: Launch,
        name: str,
        command: list[str],
        output: Path,
        errors: Path,
        descriptors: Mapping[int, int],
    ) -> FakeChild:
        """One more."""
        if self.error is not None:
            raise self.error
        number = 100 + len(self.children)
        self.children.append(FakeChild(number, command, output, errors, descriptors))
        return self.children[-1]

    def adopt(self, pid: int) -> FakeChild:
        """One that has not ended."""
        for each in self.children:
            if each.pid == pid and not each.ended.called:
                each.ended = Deferred()
                return each
        raise ProcessLookupError(3, "No such process")


class MachineCase(SynchronousTestCase):
    """A folder, and what is started there."""

    vmm = "qemu"

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="sp", dir="/tmp")
        self.addCleanup(folder.cleanup)
        # That of an instance: what its VMM must not reach stands beside it.
        self.folder = Path(folder.name, "0")
        self.folder.mkdir()
        self.reactor = MemoryReactorClock()
        self.starter = FakeStarter()
        self.events: list[VmmEvent] = []
        machine = Machine("blog", self.vmm, ("blog.example",), kernel="/k", initramfs="/i")
        self.launch = Launch(machine, 0, self.folder, self.folder / "vsock")

    @property
    def children(self) -> list[FakeChild]:
        """All that were started."""
        return self.starter.children

    def kinds(self) -> list[VmmEventKind]:
        """What has happened."""
        return [each.kind for each in self.events]

    def files(self) -> list[str]:
        """What is in the folder."""
        return sorted(each.name for each in self.folder.iterdir())

    def deliver(self) -> None:
        """What was written is read."""
        for each in self.reactor.getReaders():
            each.doRead()


def _append(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
