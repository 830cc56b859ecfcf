"""A manager's machines that are frozen, and go on from that: what is started, kept and removed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app.machine_operations import machine_reply
from subproxy.machines.declaration import Machine
from subproxy.machines.manager import MachineManager
from subproxy.machines.snapshot_binding import StartFacts
from subproxy.machines.states import InstanceState
from subproxy.machines.usage import MachineUse
from subproxy.machines.view import machines_view
from subproxy.machines.vmm.driver import VmmError
from tests.rigs.machine_fakes import FakeHost, FakeRunning, FakeVmm

BLOG = Machine(
    *("blog", "firecracker", ("blog.example",)),
    idle=60.0,
    memory=1 << 20,
    snapshot=True,
    most=2,
)


class ManagerSnapshotTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.clock = Clock()
        self.vmm = FakeVmm()
        self.facts = StartFacts("Firecracker v1.16.1", {"kernel": "1"}, "boot", kvm=True)
        self.trouble: OSError | None = None
        self.manager = self.make()

    def make(self) -> MachineManager:
        self.host = FakeHost()

        def look(_: Machine) -> Deferred[StartFacts]:
            if self.trouble is not None:
                raise self.trouble
            return succeed(self.facts)

        manager = MachineManager(
            *(self.clock, str(self.folder), 2, self.host, lambda _: self.vmm), look=look
        )
        manager.declare([BLOG])
        return manager

    def use(self, waiting: int = 0) -> None:
        self.manager.used("blog", 1, MachineUse(waiting, self.clock.seconds(), {}))

    def up(self) -> FakeRunning:
        self.use(waiting=1)
        running = self.vmm.starts[-1].runs()
        self.manager.served("blog", 0, 1)
        self.use()
        return running

    def idle(self) -> None:
        """Nobody uses it, and all workers know that it is drained."""
        self.clock.advance(60.0)
        self.clock.advance(0.1)
        for each in list(self.host.drains):
            self.host.drains.pop(each).callback(None)

    def frozen(self) -> None:
        """It comes up, is idle, and its VMM writes a snapshot."""
        running = self.up()
        self.idle()
        (running.freezing / "memory").write_text("all of it")
        running.frozen.callback(None)
        self.assertEqual(running.told, ["freeze", "kill"])
        running.end("killed")

    def restores(self) -> Path | None:
        """What the last start goes on from."""
        return self.vmm.starts[-1].launch.snapshot

    def files(self) -> list[str]:
        return sorted(each.name for each in (self.folder / "blog").glob("snapshot*"))

    def shown(self) -> dict[str, object]:
        [machine] = machines_view(self.manager, self.clock.seconds())
        found: dict[str, object] = machine["snapshot"]
        return found

    def test_the_next_start_goes_on_from_it(self) -> None:
        """So does that of another instance, and that of another proxy."""
        self.frozen()
        self.assertEqual(self.files(), ["snapshot", "snapshot.json"])
        self.up()
        self.assertEqual(self.restores(), self.folder / "blog" / "snapshot")
        self.use(waiting=1)
        self.clock.advance(0.6)
        self.assertEqual(self.vmm.starts[-1].launch.index, 1)
        self.assertEqual(self.restores(), self.folder / "blog" / "snapshot")
        self.assertEqual((self.shown()["state"], self.shown()["bytes"]), ("ready", 9))
        self.manager = self.make()
        self.up()
        self.assertEqual(self.restores(), self.folder / "blog" / "snapshot")

    def test_each_run_has_a_name(self) -> None:
        """Of its own, which its guest is told: it learns by that that it was restored."""
        self.frozen()
        self.up()
        self.assertEqual(len(set(self.host.runs)), 2)
        self.assertTrue(all(len(each) == 64 for each in self.host.runs))

    def test_something_changes(self) -> None:
        """It boots, and what is old is removed at once; then another one is made."""
        self.frozen()
        self.facts = replace(self.facts, digests={"kernel": "2"})
        running = self.up()
        self.assertIsNone(self.restores())
        self.assertEqual(self.files(), [])
        self.idle()
        self.assertEqual(running.told, ["freeze"])

    def test_what_it_was_started_of(self) -> None:
        """Counts, not what there is when it is frozen."""
        self.up()
        began = self.facts
        self.facts = replace(self.facts, digests={"kernel": "2"})
        running = self.manager.machines["blog"].running[0]
        self.idle()
        assert isinstance(running, FakeRunning)
        running.frozen.callback(None)
        running.end("killed")
        record = json.loads((self.folder / "blog" / "snapshot.json").read_text())
        self.assertEqual(record["fingerprint"], began.fingerprint(BLOG))

    def test_it_can_not_be_written(self) -> None:
        """It ends as ever; nothing is left."""
        running = self.up()
        self.idle()
        running.frozen.errback(VmmError("No space left on device"))
        self.assertEqual(running.told, ["freeze", "power off"])
        self.assertEqual(self.files(), [])
        self.assertEqual(self.shown()["reason"], "No space left on device")

    def test_it_does_not_come_up(self) -> None:
        """It is started without a snapshot; who waits goes on waiting."""
        self.frozen()
        self.use(waiting=1)
        self.vmm.starts[-1].started.errback(VmmError("Load snapshot error"))
        self.assertEqual(self.files(), [])
        self.assertIsNone(self.restores())
        self.vmm.starts[-1].runs()
        self.manager.served("blog", 0, 1)
        self.assertEqual(self.manager.machines["blog"].supervisor.starts["failed"], 0)
        self.assertEqual((self.shown()["state"], self.shown()["broken"]), ("failed", 1))

    def test_a_vmm_that_can_not(self) -> None:
        """It is started all the same, and never frozen."""
        self.facts = replace(self.facts, version="Firecracker v1.15.0")
        running = self.up()
        self.idle()
        self.assertEqual(running.told, ["power off"])

    def test_what_can_not_be_looked_at(self) -> None:
        self.trouble = OSError(2, "no such program", "firecracker")
        running = self.up()
        self.idle()
        self.assertEqual(running.told, ["power off"])

    def test_it_goes_with_the_machine(self) -> None:
        """And with the wish for it."""
        self.frozen()
        self.manager.declare([replace(BLOG, snapshot=False)])
        self.assertEqual(self.files(), [])
        self.manager.declare([BLOG])
        self.frozen()
        self.manager.declare([])
        self.assertEqual(self.files(), [])

    def test_of_machines_that_are_no_more(self) -> None:
        """Since this proxy runs."""
        self.frozen()
        self.manager = self.make()
        self.successResultOf(Deferred.fromCoroutine(self.manager.restore([], [])))
        self.assertEqual(self.files(), [])

    def test_the_next_program_has_it_still(self) -> None:
        """What goes on from one is not frozen anew because another program keeps it."""
        self.frozen()
        self.up()
        left = json.loads(json.dumps(self.manager.data()))
        self.manager = self.make()
        self.successResultOf(Deferred.fromCoroutine(self.manager.restore(left, [BLOG])))
        self.assertEqual(self.shown()["state"], "ready")
        self.use()
        self.idle()
        [(_, adopted)] = self.vmm.adopted
        self.assertEqual(adopted.told, ["power off"])

    def test_the_next_program(self) -> None:
        """Nobody would hear of the end of a freeze: what is being frozen is killed."""
        running = self.up()
        self.idle()
        self.assertEqual(running.told, ["freeze"])
        left = json.loads(json.dumps(self.manager.data()))
        self.manager = self.make()
        self.successResultOf(Deferred.fromCoroutine(self.manager.restore(left, [BLOG])))
        [(_, adopted)] = self.vmm.adopted
        self.assertEqual(adopted.told, ["kill"])
        self.assertEqual(self.host.runs, [left[0]["instance"]["run"]])

    def test_an_operator(self) -> None:
        """Has one made of what is up, and of what is cold; not of what has none."""
        ask = lambda name: machine_reply(self.manager, 0.0, "machine-snapshot", name)  # noqa: E731
        self.assertEqual(ask("shop")[1], 404)
        self.assertEqual(ask("blog"), ({"machine": "blog"}, 200))
        running = self.vmm.starts[-1].runs()
        self.manager.served("blog", 0, 1)
        for each in list(self.host.drains):
            self.host.drains.pop(each).callback(None)
        self.assertEqual(running.told, ["freeze"])
        self.manager.declare([replace(BLOG, snapshot=False)])
        error, status = ask("blog")
        self.assertEqual(status, 409)
        self.assertIn("no snapshot = true", str(error))

    def test_an_operator_drops_it(self) -> None:
        """The next start boots, and another one is made then; not while one is made."""
        ask = lambda name: machine_reply(self.manager, 0.0, "machine-drop-snapshot", name)  # noqa: E731
        self.assertEqual(ask("shop")[1], 404)
        running = self.up()
        self.idle()
        self.assertEqual(ask("blog"), ({"error": "a snapshot of machine blog is being made"}, 409))
        (running.freezing / "memory").write_text("all of it")
        running.frozen.callback(None)
        running.end("killed")
        self.assertEqual(self.manager.snapshots.size("blog"), 9)
        self.assertEqual(ask("blog"), ({"machine": "blog"}, 200))
        self.assertEqual(self.manager.snapshots.size("blog"), 0)
        self.assertEqual(list(self.manager.snapshots.names()), [])
        self.use(waiting=1)
        self.assertIsNone(self.vmm.starts[-1].launch.snapshot)
        running = self.vmm.starts[-1].runs()
        self.manager.served("blog", 0, 1)
        self.use()
        self.idle()
        self.assertEqual(running.told, ["freeze"])

    def test_it_is_in_order(self) -> None:
        """State and folder of an instance after all that."""
        self.frozen()
        self.assertEqual(
            self.manager.machines["blog"].supervisor.instances[0].state, InstanceState.COLD
        )
        self.assertEqual((self.folder / "blog" / "snapshot").stat().st_mode & 0o777, 0o700)
