from __future__ import annotations

import json
import os
import socket
from dataclasses import replace

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.vmm.driver import RunningVmm, VmmError, VmmEventKind
from subproxy.machines.vmm.machine_run import POLL
from subproxy.machines.vmm.qemu import QemuVmm, accelerators
from subproxy.machines.vmm.qemu_snapshot import UNPLUG_LIMIT
from tests.rigs.machine_rig import MachineCase


class AcceleratorTests(SynchronousTestCase):
    def test_which(self) -> None:
        tcg = "tcg,thread=multi"
        for acceleration, kvm, found in (
            ("auto", True, ["kvm", tcg]),
            ("auto", False, [tcg]),
            ("kvm", False, ["kvm"]),
            ("tcg", True, [tcg]),
        ):
            self.assertEqual(accelerators(acceleration, kvm=kvm), found)


class QemuCase(MachineCase):
    """QEMU and its device, played by the test."""

    def setUp(self) -> None:
        super().setUp()
        self.vmm_ = QemuVmm(self.reactor, self.starter, kvm=lambda: False)
        self.transport = StringTransport()

    def begin(self) -> Deferred[RunningVmm]:
        """Start it, up to QEMU's connection, which is made."""
        started = self.vmm_.start(self.launch, self.events.append)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(self.folder / "vhost.sock"))
        self.reactor.advance(POLL)
        self.assertEqual(len(self.children), 2)
        self.connect()
        return started

    def connect(self) -> None:
        """QEMU accepts."""
        path, factory, *_ = self.reactor.unixClients[-1]
        self.assertEqual(path, f"{self.folder}.qmp.sock")
        self.qmp = factory.buildProtocol(None)
        self.transport = StringTransport()
        self.qmp.makeConnection(self.transport)
        self.say({"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}}}})

    def say(self, *messages: dict[str, object]) -> None:
        """QEMU sends something."""
        for each in messages:
            self.qmp.dataReceived(json.dumps(each).encode() + b"\r\n")

    def asked(self) -> list[str]:
        """The commands that QEMU was given since."""
        lines = self.transport.value().splitlines()
        self.transport.clear()
        return [json.loads(each)["execute"] for each in lines]

    def running(self) -> RunningVmm:
        """A machine that runs."""
        started = self.begin()
        self.assertEqual(self.asked(), ["qmp_capabilities"])
        self.assertNoResult(started)
        self.say({"return": {}, "id": 1})
        return self.successResultOf(started)

    def close(self) -> None:
        """QEMU's connection ends."""
        self.qmp.connectionLost(Failure(ConnectionDone()))


class QemuTests(QemuCase):
    def test_a_start(self) -> None:
        running = self.running()
        device, qemu = self.children
        self.assertEqual(device.command[0], "vhost-device-vsock")
        self.assertEqual(qemu.command[0], "qemu-system-x86_64")
        self.assertEqual(list(qemu.descriptors), [3])
        self.assertEqual(running.pid, qemu.pid)
        self.assertEqual(self.kinds(), [VmmEventKind.SPAWNED, VmmEventKind.BOOTING])

    def test_power_off(self) -> None:
        running = self.running()
        pressed = running.power_off()
        self.assertEqual(self.asked(), ["system_powerdown"])
        self.say({"return": {}, "id": 2})
        self.successResultOf(pressed)
        self.say({"event": "POWERDOWN"})
        self.say({"event": "SHUTDOWN", "data": {"guest": True, "reason": "guest-shutdown"}})
        self.close()
        self.children[1].end(0)
        self.children[0].end(None, 9)
        ended = self.successResultOf(running.ended)
        self.assertEqual(ended.reason, "the guest has powered off")
        self.assertEqual(self.files(), ["console.log", "qemu.log", "vhost.log"])
        self.assertEqual(self.kinds()[2:], [VmmEventKind.SHUTDOWN])

    def test_power_off_is_refused(self) -> None:
        pressed = self.running().power_off()
        self.say({"error": {"desc": "not now"}, "id": 2})
        self.assertEqual(self.failureResultOf(pressed, VmmError).value.reason, "not now")

    def test_qemu_does_not_answer_any_more(self) -> None:
        running = self.running()
        self.close()
        self.failureResultOf(running.power_off(), VmmError)

    def test_reasons(self) -> None:
        running = self.running()
        self.say({"event": "GUEST_PANICKED", "data": {"action": "pause"}})
        self.say({"event": "SHUTDOWN", "data": {"reason": "something-new"}})
        self.assertEqual(
            [(each.kind, each.reason) for each in self.events[2:]],
            [
                (VmmEventKind.PANICKED, "QEMU was told by the guest"),
                (VmmEventKind.SHUTDOWN, "something-new"),
            ],
        )
        running.kill()

    def test_a_kernel_that_is_not_there(self) -> None:
        started = self.begin()
        self.close()
        self.children[1].complain(b"qemu: could not open kernel file '/k': No such file\n")
        self.children[1].end(1)
        self.children[0].end(None, 9)
        error = self.failureResultOf(started, VmmError).value
        self.assertIn("could not open kernel file '/k'", error.reason)

    def test_a_start_is_given_up(self) -> None:
        started = self.begin()
        started.cancel()
        self.assertNoResult(started)
        for each in self.children:
            self.assertTrue(each.killed)
            each.end(None, 9)
        self.close()
        self.failureResultOf(started, CancelledError)

    def test_it_is_taken_over(self) -> None:
        first = self.running()
        running = self.vmm_.adopt(self.launch, first.pid, self.events.append)
        self.assertEqual(running.pid, first.pid)
        self.failureResultOf(running.power_off(), VmmError)
        self.connect()
        self.say({"return": {}, "id": 1})
        self.assertEqual(self.asked(), ["qmp_capabilities"])
        pressed = running.power_off()
        self.assertEqual(self.asked(), ["system_powerdown"])
        self.say({"return": {}, "id": 2})
        self.successResultOf(pressed)

    def test_it_ends_when_it_is_taken_over(self) -> None:
        first = self.running()
        self.vmm_.adopt(self.launch, first.pid, self.events.append).kill()
        self.assertEqual([each.killed for each in self.children], [True, True])
        self.assertEqual(self.flushLoggedErrors(), [])


class QemuSnapshotTests(QemuCase):
    """A machine that is frozen, and one that goes on from that."""

    def setUp(self) -> None:
        super().setUp()
        self.machine = replace(self.launch.machine, snapshot=True)
        self.launch = replace(self.launch, machine=self.machine)
        self.place = self.folder / "snapshot"
        self.place.mkdir()

    def connect(self) -> None:
        super().connect()
        self.passed: list[int] = []
        self.transport.sendFileDescriptor = (  # type: ignore[attr-defined]
            lambda number: self.passed.append(os.fstat(number).st_ino)
        )

    def step(self, command: str, *events: dict[str, object], error: str = "") -> None:
        """It is asked for that, and answers; then something happens."""
        [line] = self.transport.value().splitlines()
        self.transport.clear()
        asked = json.loads(line)
        self.assertEqual(asked["execute"], command)
        self.arguments = asked.get("arguments")
        answer = {"error": {"class": "GenericError", "desc": error}} if error else {"return": {}}
        self.say({**answer, "id": asked["id"]}, *events)

    def unplug(self) -> None:
        self.step("query-status")
        self.step("device_del")
        self.say({"event": "DEVICE_DELETED", "data": {"path": "/machine/peripheral/vsock/x"}})
        self.assertEqual(self.asked(), [])
        self.say({"event": "DEVICE_DELETED", "data": {"device": "vsock", "path": "/machine"}})
        self.step("chardev-remove")
        self.step("stop")

    def test_it_is_frozen(self) -> None:
        """Its device is unplugged before; QEMU gets the file, which only its owner can read."""
        running = self.running()
        command = self.children[-1].command
        self.assertIn("pcie-root-port,id=slot0,chassis=1", command)
        self.assertIn("vhost-user-vsock-pci,chardev=vsock0,id=vsock,bus=slot0", command)
        frozen = running.freeze(self.place)
        self.unplug()
        self.step("getfd")
        found = (self.place / "stream").stat()
        self.assertEqual((self.passed, found.st_mode & 0o777), ([found.st_ino], 0o600))
        self.step("migrate-set-capabilities")
        self.step("migrate", {"event": "MIGRATION", "data": {"status": "active"}})
        self.assertNoResult(frozen)
        self.say({"event": "MIGRATION", "data": {"status": "completed"}})
        self.successResultOf(frozen)
        self.assertEqual(self.asked(), [])

    def test_it_can_not_be_written(self) -> None:
        """It has its device again, and runs on."""
        running = self.running()
        frozen = running.freeze(self.place)
        self.unplug()
        self.step("getfd")
        self.step("migrate-set-capabilities")
        self.step("migrate", {"event": "MIGRATION", "data": {"status": "failed"}})
        self.step("chardev-add")
        self.step("device_add")
        self.step("cont")
        self.assertIn("could not write", self.failureResultOf(frozen, VmmError).value.reason)

    def test_its_kernel_gives_nothing_back(self) -> None:
        running = self.running()
        frozen = running.freeze(self.place)
        self.step("query-status")
        self.step("device_del")
        self.reactor.advance(UNPLUG_LIMIT)
        failure = self.failureResultOf(frozen, VmmError)
        self.assertIn("does not give the device back", failure.value.reason)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_it_is_refused(self) -> None:
        """Nothing is waited for any more."""
        running = self.running()
        frozen = running.freeze(self.place)
        self.step("query-status")
        self.step("device_del", error="Device 'vsock' not found")
        failure = self.failureResultOf(frozen, VmmError)
        self.assertEqual(failure.value.reason, "device_del: Device 'vsock' not found")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_it_ends_meanwhile(self) -> None:
        running = self.running()
        frozen = running.freeze(self.place)
        self.step("query-status")
        running.kill()
        self.assertEqual(self.failureResultOf(frozen, VmmError).value.reason, "it has ended")
        self.failureResultOf(running.freeze(self.place), VmmError)

    def test_it_goes_on(self) -> None:
        """It is told of its device when it has read what there was."""
        (self.place / "stream").write_text("all of it")
        self.launch = replace(self.launch, snapshot=self.place)
        started = self.begin()
        command = self.children[-1].command
        self.assertEqual(command[command.index("-incoming") + 1], "defer")
        self.assertNotIn("vhost-user-vsock-pci", " ".join(command))
        self.step("qmp_capabilities")
        self.step("getfd")
        self.step("migrate-set-capabilities")
        self.step("migrate-incoming")
        self.assertEqual(self.arguments, {"uri": "fd:stream"})
        self.say({"event": "MIGRATION", "data": {"status": "completed"}})
        self.step("chardev-add")
        self.step("device_add")
        self.assertEqual(self.arguments["bus"], "slot0")
        self.assertNoResult(started)
        self.step("cont")
        self.successResultOf(started)
        self.assertEqual(self.kinds(), [VmmEventKind.SPAWNED, VmmEventKind.RESTORED])

    def test_there_is_nothing_to_go_on_from(self) -> None:
        self.launch = replace(self.launch, snapshot=self.place)
        started = self.begin()
        self.step("qmp_capabilities")
        self.close()
        for each in self.children:
            each.end(None, 9)
        self.assertIn("stream", self.failureResultOf(started, VmmError).value.reason)
