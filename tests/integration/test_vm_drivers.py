"""The drivers of VMMs with real machines: started, told to power off, killed, crashed."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest import SkipTest

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from subproxy.machines.declaration import Machine as DeclaredMachine
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
from subproxy.machines.vmm.qemu import kvm_usable
from tests.integration.qemu import Image, build_image, need_tools, scratch
from tests.rigs.halting_kernel import write_kernel

NOBODY = "nobody"
MINIMAL_APP = "tests/integration/vm_minimal_app.py"
POLL = 0.02


@cache
def image() -> Image:
    """One image for all tests."""
    stack = ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(scratch())
    return build_image(folder, "minimal", "--minimal", MINIMAL_APP)


def processes_in(folder: Path) -> list[int]:
    """The processes that were told of something in that folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(folder) in each.read_bytes():
                found.append(int(each.parent.name))
        except OSError:
            pass
    return found


def proc(pid: int, name: str) -> list[str]:
    """The lines of a file of a process."""
    return Path(f"/proc/{pid}/{name}").read_text().splitlines()


class FirstBytes(Factory[Protocol]):
    """Where the proxy would listen: fires with what a guest sends first."""

    def __init__(self) -> None:
        self.heard: Deferred[bytes] = Deferred()

    def buildProtocol(self, addr: object) -> Protocol:
        """A guest has dialled."""
        heard = self.heard

        class Reader(Protocol):
            def dataReceived(self, data: bytes) -> None:
                if not heard.called:
                    heard.callback(data)

        return Reader()


class DriverCase(TestCase):
    """A small machine, and a folder for it."""

    timeout = 240
    program = "qemu"

    def setUp(self) -> None:
        need_tools()
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.folder = stack.enter_context(scratch()) / "0"
        self.folder.mkdir(0o700)
        self.events: list[VmmEvent] = []
        self.confinement = Confinement(self.folder.parent)
        self.told = self.confinement.begin([])
        self.driver = make_driver(self.program, reactor, self.confinement)
        self.machine = DeclaredMachine(
            "small",
            self.program,
            ("small.example",),
            kernel=str(image().kernel),
            initramfs=str(image().initrd),
            memory=192 << 20,
            acceleration="tcg",
        )

    def launch(self, machine: DeclaredMachine | None = None) -> Launch:
        """What is started."""
        return Launch(machine or self.machine, 0, self.folder, self.folder / "vsock")

    async def start(self, machine: DeclaredMachine | None = None) -> RunningVmm:
        """Start it; it is killed when the test is over."""
        running = await self.driver.start(self.launch(machine), self.events.append)
        self.addCleanup(lambda: self.until(lambda: not processes_in(self.folder)))
        self.addCleanup(running.kill)
        return running

    def kinds(self) -> list[VmmEventKind]:
        """What has happened."""
        return [each.kind for each in self.events]

    def until(self, condition: Callable[[], object]) -> Deferred[None]:
        """Wait for it."""

        async def poll() -> None:
            for _ in range(round(60 / POLL)):
                if condition():
                    return
                await deferLater(reactor, POLL)
            raise AssertionError("not within 60 seconds")

        return Deferred.fromCoroutine(poll())

    async def ended(self, running: RunningVmm) -> VmmEnded:
        """Its end; nothing is left of it then but what it wrote."""
        ended = await running.ended
        self.assertEqual(processes_in(self.folder), [])
        left = sorted(each.name for each in self.folder.iterdir())
        for name in ("vsock_12345", "console.log.1"):
            if name in left:
                left.remove(name)
        own = [f"{self.program}.log", *(["vhost.log"] if self.program == "qemu" else [])]
        self.assertEqual(left, sorted(["console.log", *own]))
        self.assertFalse(self.group_left())
        return ended

    def group_left(self) -> bool:
        """Whether there still is a cgroup of this test's machines."""
        group = facts_of_this_host().group
        return group is not None and (group / group_name(self.folder.parent)).exists()

    def listen(self) -> FirstBytes:
        """Be where the proxy would be."""
        guest = FirstBytes()
        port = reactor.listenUNIX(str(self.folder / "vsock_12345"), guest)  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        return guest

    async def dialled(self, guest: FirstBytes, running: RunningVmm) -> None:
        """
        Wait for the guest's call. Where KVM is emulated itself an ordinary kernel ends with an
        empty console, or gets nowhere in a minute: that is no failure of a driver.
        """
        slow = False
        try:
            await self.until(lambda: guest.heard.called or not processes_in(self.folder))
        except AssertionError:
            slow = True
            running.kill()
        if not guest.heard.called:
            ended = await running.ended
            if self.program == "qemu" or (ended.console and not slow):
                self.fail(f"the guest has not dialled: {ended}")
            raise SkipTest(f"KVM can't boot a guest here: {ended.reason}")
        self.assertIn(b"5:hello", await guest.heard)

    async def check_snapshot(self) -> None:
        """
        One is frozen, and two go on from that at the same time, each on its own path: their guests
        dial by themselves.
        """
        self.machine = replace(self.machine, snapshot=True)
        guest = self.listen()
        running = await self.start()
        await self.dialled(guest, running)
        root = self.folder.parent
        place = root / "snapshot"
        place.mkdir(0o700)
        await running.freeze(place)
        running.kill()
        await running.ended
        for index in (1, 2):
            self.move(root / str(index))
            guest = self.listen()
            await self.go_on(index, place)
            self.assertIn(b"5:hello", await guest.heard)

    def move(self, folder: Path) -> None:
        """What is started next has its files there, and nothing was heard of it."""
        self.folder = folder
        folder.mkdir(0o700)
        self.events.clear()

    async def go_on(self, index: int, place: Path) -> Launch:
        """Start an instance from the snapshot that is there."""
        launch = replace(self.launch(), index=index, snapshot=place)
        copy = await self.driver.start(launch, self.events.append)
        self.addCleanup(lambda: copy.ended)
        self.addCleanup(copy.kill)
        self.assertEqual(self.kinds(), [VmmEventKind.SPAWNED, VmmEventKind.RESTORED])
        return launch


class DriverTests(DriverCase):
    """QEMU, which emulates the processor."""

    async def test_a_guest_dials_and_powers_off(self) -> None:
        guest = self.listen()
        running = await self.start()
        self.assertEqual(self.kinds(), [VmmEventKind.SPAWNED, VmmEventKind.BOOTING])
        self.assertIn(running.pid, processes_in(self.folder))
        self.assertIn(b"5:hello", await guest.heard)

        await running.power_off()
        ended = await self.ended(running)
        self.assertEqual((ended.status, ended.signal), (0, None))
        self.assertTrue(ended.reason.startswith("the guest has powered off"), ended.reason)
        self.assertEqual(self.kinds()[2:], [VmmEventKind.INIT, VmmEventKind.SHUTDOWN])
        self.assertIn("subproxy-init", "\n".join(ended.console))
        self.assertIn("subproxy-init", (self.folder / "console.log").read_text())
        await running.power_off()
        running.kill()

    async def test_a_snapshot(self) -> None:
        await self.check_snapshot()
        self.assertEqual(self.kinds()[2:], [])  # its init has begun long ago

    async def test_no_snapshot(self) -> None:
        """What is none is told by QEMU, which ends."""
        place = self.folder.parent / "snapshot"
        place.mkdir()
        (place / "stream").write_bytes(b"x" * 100_000)
        self.machine = replace(self.machine, snapshot=True)
        launch = replace(self.launch(), snapshot=place)
        error = await self.assertFailure(self.driver.start(launch, self.events.append), VmmError)
        self.assertIn("QEMU could not", error.reason)

    async def test_a_machine_is_killed(self) -> None:
        running = await self.start()
        running.kill()
        ended = await self.ended(running)
        self.assertEqual((ended.status, ended.signal), (None, signal.SIGKILL))
        self.assertEqual(ended.reason, "killed")

    async def test_a_kernel_that_is_not_there(self) -> None:
        machine = replace(self.machine, kernel="/nowhere/vmlinuz")
        error = await self.assertFailure(Deferred.fromCoroutine(self.start(machine)), VmmError)
        self.assertIn("/nowhere/vmlinuz", error.reason)
        self.assertIn("No such file", error.reason)
        self.assertEqual(processes_in(self.folder), [])

    async def test_a_kernel_that_panics(self) -> None:
        machine = replace(self.machine, kernel_arguments=("rdinit=/nothing",))
        running = await self.start(machine)
        ended = await self.ended(running)
        self.assertEqual(ended.status, 0)
        self.assertIn("Kernel panic - not syncing", ended.reason)
        self.assertIn("Kernel panic - not syncing", "\n".join(ended.console))
        self.assertEqual(self.kinds()[2:], [VmmEventKind.PANICKED, VmmEventKind.SHUTDOWN])

    async def test_the_device_ends(self) -> None:
        """QEMU tells nobody, and goes on without it."""
        running = await self.start()
        (device,) = set(processes_in(self.folder)) - {running.pid}
        os.kill(device, signal.SIGKILL)
        ended = await self.ended(running)
        self.assertEqual(ended.reason, "vhost was ended by SIGKILL")

    async def test_a_start_is_given_up(self) -> None:
        starting = self.driver.start(self.launch(), self.events.append)
        await self.until(lambda: processes_in(self.folder))
        starting.cancel()
        await self.assertFailure(starting, CancelledError)
        self.assertEqual(processes_in(self.folder), [])

    async def test_what_a_machine_can_not_do(self) -> None:
        """As another user where we are root, and in a cgroup where we may have one."""
        user = NOBODY if os.geteuid() == 0 else ""
        if user:
            self.folder.parent.chmod(0o711)
            image().kernel.parent.chmod(0o711)
            shutil.chown(self.folder, user)
        running = await self.start(replace(self.machine, user=user))
        processes = processes_in(self.folder)
        self.assertEqual(len(processes), 2)
        for pid in processes:
            told = dict(line.split(":\t", 1) for line in proc(pid, "status") if ":\t" in line)
            self.assertEqual(told["NoNewPrivs"], "1")
            self.assertEqual(int(told["CapEff"], 16), 0)
            uid = pwd.getpwnam(user).pw_uid if user else os.getuid()
            self.assertEqual(told["Uid"].split(), [str(uid)] * 4)
            group = proc(pid, "cgroup")[-1]
            if not any("no cgroups" in each for each in self.told):
                self.assertRegex(group, r"^0::.*/subproxy-[0-9a-f]{8}/small-0$")
        running.kill()
        await self.ended(running)

    async def test_what_an_earlier_proxy_has_left(self) -> None:
        """It is ended before anything is started: never twice."""
        if any("no cgroups" in each for each in self.told):
            raise SkipTest(self.told[0])
        running = await self.start()
        self.assertIn("/small-0", proc(running.pid, "cgroup")[-1])
        Confinement(self.folder.parent).begin([])
        ended = await self.ended(running)
        self.assertEqual(ended.signal, signal.SIGKILL)

    async def test_a_machine_is_taken_over(self) -> None:
        """By what this process has become after it executed itself anew."""
        first = await self.start()
        self.confinement = Confinement(self.folder.parent)
        self.confinement.begin([], resume=True)
        running = make_driver("qemu", reactor, self.confinement).adopt(
            self.launch(), first.pid, self.events.append
        )
        self.assertEqual(running.pid, first.pid)
        running.kill()
        ended = await running.ended
        self.assertEqual(ended.reason, "killed")
        await self.until(lambda: not processes_in(self.folder))


class CloudHypervisorTests(DriverCase):
    """Where it is installed, and KVM can boot its guest. Its answers are replayed elsewhere."""

    program = "cloud-hypervisor"

    def setUp(self) -> None:
        if shutil.which(self.program) is None:
            raise SkipTest(f"no {self.program} here; see tests/integration/test_vmm_replay.py")
        if not kvm_usable():
            raise SkipTest("no /dev/kvm here")
        super().setUp()
        elf = image().kernel.with_suffix(".vmlinux")
        self.machine = replace(self.machine, kernel=str(elf))

    async def test_a_guest_dials_and_powers_off(self) -> None:
        guest = self.listen()
        running = await self.start()
        await self.dialled(guest, running)
        await running.power_off()
        ended = await self.ended(running)
        self.assertEqual(ended.status, 0)

    async def test_a_snapshot(self) -> None:
        await self.check_snapshot()

    async def test_a_machine_that_halts(self) -> None:
        """
        KVM can boot this one everywhere: it is frozen, and two go on from that at a time, each with
        its device at its own path. What is none is refused.
        """
        root = self.folder.parent
        kernel = write_kernel(root / "halting")
        self.machine = replace(self.machine, kernel=str(kernel), initramfs="", snapshot=True)
        running = await self.start()
        place = root / "snapshot"
        place.mkdir(0o700)
        try:
            await running.freeze(place)
        except VmmError as error:
            if "GetNestedState" in error.reason:
                raise SkipTest(f"KVM here tells no state of nested guests: {error}") from None
            raise
        running.kill()
        await running.ended
        for index in (1, 2):
            self.move(root / str(index))
            launch = await self.go_on(index, place)
            self.assertTrue(launch.vsock.is_socket())
        for path in place.iterdir():
            path.write_bytes(b"x")
        self.folder = root / "3"
        self.folder.mkdir(0o700)
        launch = replace(self.launch(), index=3, snapshot=place)
        await self.assertFailure(self.driver.start(launch, self.events.append), VmmError)


class FirecrackerTests(CloudHypervisorTests):
    """The same."""

    program = "firecracker"
