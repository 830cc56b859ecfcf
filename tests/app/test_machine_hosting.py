"""What a worker that comes late is told of machines."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app.machine_hosting import MachineHosting
from subproxy.config.sources import Sources
from subproxy.machines.declaration import Machine
from subproxy.machines.manager import MachineManager
from subproxy.machines.places import identity_of
from subproxy.machines.usage import InstanceUse, MachineUse
from subproxy.process.inherited_sockets import InheritedSockets
from subproxy.workers.messages import ChannelMessage
from tests.rigs.machine_fakes import FakeHost, FakeVmm


class Told:
    """A crew that remembers what a worker hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def send(self, worker: object, said: ChannelMessage) -> None:
        self.heard.append(type(said).__name__)

    def ask(self, worker: object, what: str, about: str) -> Deferred[bytes]:
        self.heard.append(f"{what} {about}")
        return succeed(b"{}")


class ReloadTests(SynchronousTestCase):
    """The first machine is declared while the proxy runs."""

    def setUp(self) -> None:
        self.folder = self.mktemp()
        self.before = Sources({"machines-folder": self.folder}, None).read()
        machine = Machine("blog", "process", ("blog.example",), command=("/bin/true",))
        self.after = replace(self.before, added=(machine,))

    def hosting(self) -> MachineHosting:
        guests: Any = SimpleNamespace(crew=Told())
        hosting = MachineHosting(Clock(), self.before, guests, Factory(), InheritedSockets())
        self.addCleanup(self.close, hosting)
        return hosting

    def close(self, hosting: MachineHosting) -> None:
        """Its end lets the folder go."""
        if hosting._lock >= 0:
            os.close(hosting._lock)
            hosting._lock = -1

    def refused(self, hosting: MachineHosting) -> str:
        """Why it does not take what is declared now."""
        with capturedLogs() as logs:
            hosting.reload(self.after)
        self.assertIsNone(hosting.manager)
        return "".join(map(formatEvent, logs))

    def test_no_folder(self) -> None:
        """The log says why; when it can be had, the next reload has it."""
        hosting = self.hosting()
        Path(self.folder).write_text("")
        self.assertIn("File exists (--machines-folder)", self.refused(hosting))
        os.remove(self.folder)
        hosting.reload(self.after)
        assert hosting.manager is not None
        self.assertEqual(list(hosting.manager.machines), ["blog"])

    def test_that_of_another_proxy(self) -> None:
        other, hosting = self.hosting(), self.hosting()
        other.reload(self.after)
        for _ in range(2):
            self.assertIn("another proxy has its machines", self.refused(hosting))
        self.close(other)
        hosting.reload(self.after)
        self.assertIsNotNone(hosting.manager)


class LateWorkerTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock = Clock()
        effective = Sources({"machines-folder": self.mktemp()}, None).read()
        self.crew = Told()
        guests: Any = SimpleNamespace(crew=self.crew)
        self.hosting = MachineHosting(clock, effective, guests, Factory(), InheritedSockets())
        vmm = FakeVmm()
        self.manager = self.hosting.manager = MachineManager(
            clock, effective.machines_folder, 1, FakeHost(), lambda machine: vmm
        )
        self.manager.declare([Machine("blog", "qemu", ("blog.example",))])
        self.identity = identity_of(effective.machines_folder, "blog", 0)
        self.manager.start("blog")
        vmm.starts[0].runs(1)
        self.manager.served("blog", 0, 1)

    def hears(self) -> list[str]:
        """What a worker hears that serves now."""
        self.crew.heard.clear()
        worker: Any = None
        self.hosting.ready(worker)
        return self.crew.heard

    def test_up(self) -> None:
        self.assertEqual(self.hears(), ["MachineStarts", "MachineStatus"])

    def test_drained(self) -> None:
        """It is drained there, too, and behind what says that it runs."""
        self.manager.used("blog", 1, MachineUse(0, 0.0, {0: InstanceUse(1, 1, 4)}))
        self.manager.stop("blog")
        heard = self.hears()
        self.assertEqual(heard[:2], ["MachineStarts", f"machine-drain {self.identity}"])
