"""The drivers of cloud-hypervisor and Firecracker against what the real ones have answered.

C{vmm_exchanges} has it, C{vmm_replay.py} plays it: a process with a real socket, which a driver
starts as it would start the real one.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from subproxy.machines.declaration import Machine
from subproxy.machines.vmm.confinement import Confinement, facts_of_this_host, group_name
from subproxy.machines.vmm.driver import (
    Launch,
    RunningVmm,
    VmmEnded,
    VmmError,
    VmmEvent,
    VmmEventKind,
)
from subproxy.machines.vmm.drivers import make_driver
from tests.integration.qemu import scratch

SCRIPT = Path(__file__).parent / "vmm_replay.py"
POLL = 0.02
PATIENCE = 30.0


class ReplayCase(TestCase):
    """A machine whose VMM is played."""

    timeout = 120
    program = ""

    def setUp(self) -> None:
        manager = scratch()
        root = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        self.folder = root / "0"
        self.folder.mkdir()
        programs = root / "bin"
        programs.mkdir()
        played = programs / self.program
        words = [sys.executable, "-SEB", str(SCRIPT), self.program]
        played.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        played.chmod(0o755)
        self.patch(os, "environ", os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"})
        self.events: list[VmmEvent] = []
        confinement = Confinement(root)
        confinement.begin([])
        self.driver = make_driver(self.program, reactor, confinement)
        self.machine = Machine(
            "blog",
            self.program,
            ("blog.example",),
            kernel="/images/hello.vmlinux",
            initramfs="/images/hello.img",
            memory=128 << 20,
        )

    async def start(self, scene: str, machine: Machine | None = None) -> RunningVmm:
        """Start it in a scene; it is killed when the test is over."""
        (self.folder / "scene").write_text(scene)
        launch = Launch(machine or self.machine, 0, self.folder, self.folder / "vsock")
        running = await self.driver.start(launch, self.events.append)
        self.addCleanup(lambda: running.ended)
        self.addCleanup(running.kill)
        return running

    async def refused(self, scene: str, machine: Machine | None = None) -> str:
        """Why it does not start in a scene."""
        try:
            await self.start(scene, machine)
        except VmmError as error:
            self.check_left()
            return error.reason
        raise AssertionError("it has started")

    async def crash(self) -> VmmEnded:
        """Its end when it is over as soon as it runs: perhaps before its start is over."""
        try:
            running = await self.start("crashes")
        except VmmError as error:
            return VmmEnded(0, None, error.reason, error.console)
        return await self.ended(running)

    async def ended(self, running: RunningVmm) -> VmmEnded:
        """Its end."""
        ended = await running.ended
        running.ended.addCallback(lambda _: ended)
        self.check_left()
        return ended

    async def freeze(self, scene: str) -> tuple[RunningVmm, Path]:
        """One that was frozen in a scene, and the folder that it is in now."""
        running = await self.start(scene)
        place = self.folder.parent / "snapshot"
        place.mkdir()
        await running.freeze(place)
        return running, place

    async def restore(self, scene: str, snapshot: Path) -> RunningVmm:
        """Go on from that, as another instance, in a scene."""
        self.folder = self.folder.parent / "1"
        self.folder.mkdir()
        (self.folder / "scene").write_text(scene)
        launch = Launch(self.machine, 1, self.folder, self.folder / "vsock", snapshot)
        running = await self.driver.start(launch, self.events.append)
        self.addCleanup(lambda: running.ended)
        self.addCleanup(running.kill)
        return running

    async def check_snapshot(self, files: list[str]) -> None:
        """It is frozen, and another instance goes on from it, on its own path."""
        running, place = await self.freeze("freezes")
        self.assertEqual(sorted(each.name for each in place.iterdir()), files)
        running.kill()
        await self.ended(running)
        self.events.clear()
        running = await self.restore("restores", place)
        self.assertEqual(self.kinds(), [VmmEventKind.SPAWNED, VmmEventKind.RESTORED])
        await running.power_off()
        await self.ended(running)
        self.assertEqual(sorted(each.name for each in place.iterdir()), files)

    async def check_link(self) -> None:
        """What its user has put in the place of its socket is told nothing."""
        running = await self.start("starts")
        with socket.socket(socket.AF_UNIX) as other:
            path = self.folder.parent / "other.sock"
            other.bind(str(path))
            other.listen()
            (self.folder / "api.sock").unlink()
            (self.folder / "api.sock").symlink_to(path)
            error = await self.assertFailure(running.power_off(), VmmError)
            self.assertIn(f"is the socket of process {os.getpid()}, not of ", error.reason)
            asked, _ = other.accept()
            with asked:
                # It has been left: that is seen in a turn of the reactor at the latest.
                await deferLater(reactor, 0.1)
                asked.setblocking(False)
                self.assertEqual(asked.recv(1), b"")
        (self.folder / "api.sock").unlink()

    async def check_no_restore(self) -> str:
        """Why it does not go on from a snapshot."""
        running, place = await self.freeze("freezes")
        running.kill()
        await self.ended(running)
        try:
            await self.restore("can not restore", place)
        except VmmError as error:
            self.check_left()
            return error.reason
        raise AssertionError("it has started")

    def check_left(self) -> None:
        """No socket is left."""
        left = {
            each.name.removesuffix(".1").removesuffix(".begin") for each in self.folder.iterdir()
        }
        logs = {"console.log", f"{self.program}.log"}
        self.assertEqual(left - {"scene", "asked.json"}, logs)

    def asked(self) -> list[tuple[str, dict[str, object]]]:
        """What the VMM was asked."""
        return [(ask, body) for ask, body in json.loads((self.folder / "asked.json").read_text())]

    def kinds(self) -> list[VmmEventKind]:
        """What has happened."""
        return [each.kind for each in self.events]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for it."""
        for _ in range(round(PATIENCE / POLL)):
            if condition():
                return
            await deferLater(reactor, POLL)
        raise AssertionError(f"not within {PATIENCE} seconds")


class CloudHypervisorTests(ReplayCase):
    program = "cloud-hypervisor"

    async def test_a_start_and_a_power_off(self) -> None:
        running = await self.start("starts")
        self.assertEqual(self.kinds(), [VmmEventKind.SPAWNED, VmmEventKind.BOOTING])
        (_, nothing), (create, config), boot = self.asked()
        self.assertIsNone(nothing)
        self.assertEqual(create, "PUT /api/v1/vm.create")
        self.assertEqual(
            config,
            {
                "cpus": {"boot_vcpus": 1, "max_vcpus": 1},
                "memory": {"size": 128 << 20},
                "payload": {
                    "kernel": "/images/hello.vmlinux",
                    "initramfs": "/images/hello.img",
                    "cmdline": "console=ttyS0 panic=-1 quiet cryptomgr.notests",
                },
                "vsock": {"cid": 3, "socket": str(self.folder / "vsock")},
                "serial": {"mode": "Tty"},
                "console": {"mode": "Off"},
            },
        )
        self.assertEqual(boot, ("PUT /api/v1/vm.boot", None))

        await running.power_off()
        ended = await self.ended(running)
        self.assertEqual((ended.status, ended.reason), (0, "the virtual machine has ended"))
        self.assertEqual(ended.console, ("Linux version 6.1", "reboot: Power down"))
        self.assertEqual(self.kinds()[2:], [VmmEventKind.SHUTDOWN])
        await running.power_off()

    async def test_it_reboots_in_place(self) -> None:
        """The process stays; the shutdown that it tells of between is none."""
        running = await self.start("reboots")
        await self.until(lambda: VmmEventKind.REBOOTED in self.kinds())
        self.assertNotIn(VmmEventKind.SHUTDOWN, self.kinds())
        running.kill()
        ended = await self.ended(running)
        self.assertEqual(ended.signal, signal.SIGKILL)
        self.assertIn("Kernel panic", "\n".join(ended.console))

    async def test_its_processor_crashes(self) -> None:
        """It ends with status 0 then, too."""
        ended = await self.crash()
        self.assertEqual((ended.status, ended.reason), (0, "the virtual machine has ended"))
        self.assertIn("KVM internal error", (self.folder / f"{self.program}.log").read_text())

    async def test_it_is_refused(self) -> None:
        """The outermost cause first, as it was told."""
        for scene, reason in (
            (
                "no initramfs",
                "Error from API: The VM could not boot: Cannot open initramfs file: "
                "No such file or directory (os error 2)",
            ),
            (
                "socket in use",
                "Error from API: The VM could not boot: Error binding to the host-side "
                "Unix socket: Address already in use (os error 98)",
            ),
        ):
            self.assertEqual(await self.refused(scene), reason)

    async def test_it_ends_at_once(self) -> None:
        self.assertEqual(
            await self.refused("bad option"),
            "cloud-hypervisor has ended with status 2: error: unexpected argument",
        )

    async def test_disks(self) -> None:
        disk = replace(self.machine, disk="/images/disk.raw")
        await self.start("starts", disk)
        config = self.asked()[1][1]
        self.assertEqual(config["disks"], [{"path": "/images/disk.raw", "readonly": True}])

    async def test_a_disk_of_ones_own(self) -> None:
        reason = await self.driver_refuses(replace(self.machine, disk="/d", disk_mode="own"))
        self.assertIn("disk-mode read-only", reason)

    async def driver_refuses(self, machine: Machine) -> str:
        """Why it is not even tried."""
        launch = Launch(machine, 0, self.folder, self.folder / "vsock")
        try:
            await self.driver.start(launch, self.events.append)
        except VmmError as error:
            self.assertEqual(self.events, [])
            return error.reason
        raise AssertionError("it has started")

    async def test_a_link(self) -> None:
        await self.check_link()

    async def test_a_snapshot(self) -> None:
        """Its configuration is that of the other instance's device."""
        await self.check_snapshot(["config.json", "memory-ranges", "state.json"])
        asked = [ask for ask, _ in self.asked()]
        self.assertEqual(
            asked, ["GET /api/v1/vmm.ping", "PUT /api/v1/vm.restore", "PUT /api/v1/vm.power-button"]
        )

    async def test_it_can_not_be_frozen(self) -> None:
        """It is resumed, and powers off as ever."""
        running = await self.start("can not freeze")
        error = await self.assertFailure(running.freeze(self.folder), VmmError)
        self.assertIn("GetNestedState", error.reason)
        self.assertEqual(self.asked()[-1][0], "PUT /api/v1/vm.resume")
        await running.power_off()
        await self.ended(running)

    async def test_no_restore(self) -> None:
        self.assertIn("No such file or directory", await self.check_no_restore())

    async def test_it_is_taken_over(self) -> None:
        """Its events come to who has taken it over; the power button is asked for anew."""
        first = await self.start("starts")
        launch = Launch(self.machine, 0, self.folder, self.folder / "vsock")
        confinement = Confinement(self.folder.parent)
        confinement.begin([], resume=True)
        running = make_driver(self.program, reactor, confinement).adopt(
            launch, first.pid, self.events.append
        )
        self.assertEqual(running.pid, first.pid)
        await running.power_off()
        await running.ended


class FirecrackerTests(ReplayCase):
    program = "firecracker"

    async def test_a_start_and_a_power_off(self) -> None:
        running = await self.start("starts")
        self.assertEqual(
            self.asked(),
            [
                ("GET /", None),
                (
                    "PUT /boot-source",
                    {
                        "kernel_image_path": "/images/hello.vmlinux",
                        "initrd_path": "/images/hello.img",
                        "boot_args": "console=ttyS0 reboot=k panic=-1 quiet cryptomgr.notests "
                        "subproxy.end=reboot",
                    },
                ),
                ("PUT /machine-config", {"vcpu_count": 1, "mem_size_mib": 128}),
                ("PUT /vsock", {"guest_cid": 3, "uds_path": str(self.folder / "vsock")}),
                ("PUT /actions", {"action_type": "InstanceStart"}),
            ],
        )
        await running.power_off()
        ended = await self.ended(running)
        self.assertEqual(self.asked()[-1][1], {"action_type": "SendCtrlAltDel"})
        self.assertEqual(ended.status, 0)
        self.assertIn("the guest has restarted", ended.reason)
        self.assertEqual(ended.console[-1], "reboot: Restarting system")

    async def test_a_link(self) -> None:
        await self.check_link()

    async def test_a_snapshot(self) -> None:
        """It is told of the other instance's device."""
        await self.check_snapshot(["memory", "state"])
        load = self.asked()[1]
        self.assertEqual(load[0], "PUT /snapshot/load")
        self.assertEqual(load[1]["vsock_override"], {"uds_path": str(self.folder / "vsock")})

    async def test_no_space(self) -> None:
        """It was paused, and nothing would reach its guest any more: it is ended."""
        running = await self.start("no space")
        error = await self.assertFailure(running.freeze(self.folder), VmmError)
        self.assertIn("No space left on device", error.reason)
        ended = await self.ended(running)
        self.assertEqual(ended.signal, signal.SIGKILL)
        self.assertIn("could not be frozen", ended.reason)

    async def test_no_restore(self) -> None:
        self.assertIn("Address already in use", await self.check_no_restore())

    async def test_it_starts_again_where_it_was(self) -> None:
        """It leaves its sockets however it ends, and can't start where one is."""
        for _ in range(2):
            ended = await self.crash()
            self.assertEqual(ended.console[-1], "KVM_EXIT_INTERNAL_ERROR")

    async def test_what_a_dead_proxy_has_left(self) -> None:
        """Sockets of a VMM that nobody has cleaned up after."""
        for name in ("vsock", "api.sock"):
            with socket.socket(socket.AF_UNIX) as left:
                left.bind(str(self.folder / name))
        running = await self.start("starts")
        running.kill()
        await self.ended(running)

    async def test_it_is_refused(self) -> None:
        """By a process that stays, and is ended then."""
        for scene, reason in (
            (
                "no kernel",
                "Boot source error: The kernel file cannot be opened: "
                "No such file or directory (os error 2)",
            ),
            ("bad kernel", "InvalidElfMagicNumber"),
        ):
            self.assertEqual(await self.refused(scene), reason)

    async def test_nothing_is_left_of_many(self) -> None:
        """No descriptor, reader, timer or cgroup, however it ends."""

        async def one(number: int) -> None:
            running = await self.start("starts")
            if number % 2:
                await running.power_off()
            else:
                running.kill()
            await self.ended(running)

        def held() -> tuple[int, int, int]:
            files = len(list(Path("/proc/self/fd").iterdir()))
            return files, len(reactor.getReaders()), len(reactor.getDelayedCalls())  # type: ignore[attr-defined]

        await one(0)
        before = held()
        for number in range(1, 9):
            await one(number)
        # A connection that its other side has closed is gone in the next turn, before or after.
        await self.until(lambda: all(now <= then for now, then in zip(held(), before, strict=True)))
        group = facts_of_this_host().group
        if group is not None:
            self.assertFalse((group / group_name(self.folder.parent)).exists())

    async def test_what_its_statuses_mean(self) -> None:
        reason = await self.refused("forbidden call")
        self.assertIn("ended with status 148: its filter of system calls", reason)

    async def test_it_is_given_up(self) -> None:
        (self.folder / "scene").write_text("starts")
        launch = Launch(self.machine, 0, self.folder, self.folder / "vsock")
        starting = self.driver.start(launch, self.events.append)
        starting.cancel()
        await self.assertFailure(starting, CancelledError)
        self.check_left()
