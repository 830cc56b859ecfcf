"""Real virtual machines for tests: QEMU and vhost-device-vsock, without KVM and without root.

A machine has a folder of its own with its sockets and its console's log. All of it ends
with the test: each process is stopped by its own id, and dies with the test's process if
that is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import SkipTest

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "build" / "vm-logs"
"""Where consoles and logs of the last run are kept."""

TOOLS = ("qemu-system-x86_64", "vhost-device-vsock", "zstd", "apt-get", "setpriv")
BASE = "console=ttyS0 panic=-1 quiet mitigations=off no_timer_check"
"""Kernel arguments: nothing here defends an emulated processor against its neighbours."""

POLL = 0.02


class MachineError(AssertionError):
    """A machine that did not do what a test waits for; holds the end of its console's log."""


def need_tools() -> None:
    """Skip the test without the tools, unless this is CI, where they must be there."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if not missing:
        return
    text = f"no {', '.join(missing)}: sudo .ci/install-vm-tools installs what real VMs need"
    if os.environ.get("CI") == "true":
        raise MachineError(text)
    raise SkipTest(text)


@dataclass(frozen=True)
class Image:
    """What a machine boots."""

    kernel: Path
    initrd: Path

    @property
    def size(self) -> int:
        """Bytes of the initramfs."""
        return self.initrd.stat().st_size


def build_image(folder: Path, name: str, *arguments: str, level: int = 3) -> Image:
    """Run C{subproxy-mkinitramfs}; packed quickly rather than small unless C{level} says more."""
    output = folder / f"{name}.img"
    command = [sys.executable, "-m", "guest.image.cli", "-o", str(output), f"--level={level}"]
    done = subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise MachineError(f"subproxy-mkinitramfs: {done.stderr}")
    return Image(output.with_suffix(".vmlinux"), output)


class Process:
    """A process whose output goes to a file, and on which a test can wait."""

    def __init__(
        self, command: Sequence[str], log: Path, env: dict[str, str] | None = None
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._start = output.tell()
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=env,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def text(self, since: int = 0) -> str:
        """What it has written, from C{since} bytes of its own output on."""
        with self.log.open("rb") as file:
            file.seek(self._start + since)
            return file.read().decode(errors="replace")

    def mark(self) -> int:
        """How much it has written, to wait for what comes after."""
        return self.log.stat().st_size - self._start

    def wait_for(self, pattern: str, seconds: float, since: int = 0) -> re.Match[str]:
        """The first match in its output; C{MachineError} after C{seconds}, or at its end."""
        deadline = time.monotonic() + seconds
        while True:
            ended = not self.running
            text = self.text(since)
            # A line may come in two writes: a number at its end would be half of one.
            whole = text if ended else text[: text.rfind("\n") + 1]
            found = re.search(pattern, whole, re.MULTILINE)
            if found:
                return found
            if ended:
                raise MachineError(f"ended before {pattern!r}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise MachineError(f"no {pattern!r} within {seconds:g} s:\n{self.tail()}")
            time.sleep(POLL)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Its exit status. Raises C{MachineError} if it has not ended in time."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise MachineError(f"not ended within {seconds:g} s:\n{self.tail()}") from None

    def stop(self) -> None:
        """Kill it, also if it is stopped, and wait for its end."""
        if self.running:
            self._process.kill()
        self._process.wait(10)

    def keep(self) -> None:
        """Copy its log to C{LOGS}."""
        if self.log.exists():
            LOGS.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.log, LOGS / self.log.name)

    def tail(self) -> str:
        """The end of its output."""
        return f"--- {self.log} ---\n{self.text()[-4000:]}"


class Machine:
    """One virtual machine with one guest CID.

    C{vsock} is its socket: what a guest sends to port N of its host arrives at
    C{<vsock>_N}.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        image: Image,
        cid: int,
        arguments: str,
        memory: int = 256,
        cpu: str = "max",
    ) -> None:
        self.name = name
        self._folder = folder
        self._image = image
        self._cid = cid
        self._arguments = arguments
        self._memory = memory
        self._cpu = cpu
        self._processes: list[Process] = []
        self.vsock = folder / f"{name}.sock"
        self._vhost = folder / f"{name}.vhost"
        self._control = folder / f"{name}.qmp"
        self.started = 0.0

    @property
    def console(self) -> Process:
        """QEMU, whose output is the guest's serial console."""
        return self._processes[-1]

    def start(self) -> None:
        """Switch it on."""
        for path in (self.vsock, self._vhost, self._control):
            path.unlink(missing_ok=True)
        device = f"guest-cid={self._cid},uds-path={self.vsock},socket={self._vhost}"
        log = self._folder / f"{self.name}.vhost.log"
        self._processes = [Process(["vhost-device-vsock", "--vm", device], log)]
        until(self._vhost.exists, 10, f"no socket of vhost-device-vsock for {self.name}")
        self.started = time.monotonic()
        console = self._folder / f"{self.name}.console.log"
        self._processes.append(Process(self.command(), console))

    def command(self) -> list[str]:
        """QEMU's command line."""
        size = f"{self._memory}M"
        return [
            "qemu-system-x86_64",
            *("-accel", "tcg,thread=multi", "-cpu", self._cpu, "-smp", "2"),
            *("-machine", "q35,memory-backend=mem0", "-m", size),
            *("-object", f"memory-backend-memfd,id=mem0,size={size},share=on"),
            *("-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)),
            *("-append", f"{BASE} {self._arguments}"),
            *("-chardev", f"socket,id=vsock0,path={self._vhost},reconnect=0"),
            *("-device", "vhost-user-vsock-pci,chardev=vsock0"),
            *("-qmp", f"unix:{self._control},server=on,wait=off"),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-serial", "stdio"),
        ]

    def wait_for(self, pattern: str, seconds: float = 60, since: int = 0) -> re.Match[str]:
        """Wait for a line on the console."""
        return self.console.wait_for(pattern, seconds, since)

    def freeze(self) -> None:
        """Stop it in its tracks, as a paused or snapshotted VM is."""
        self.console.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, with its clock behind."""
        self.console.signal(signal.SIGCONT)

    def kill(self) -> None:
        """Pull the plug."""
        for process in reversed(self._processes):
            process.stop()

    def press_power_button(self) -> None:
        """Ask the guest to power off, as an operator or a VMM's shutdown does."""
        self._tell({"execute": "system_powerdown"})

    def _tell(self, *commands: dict[str, object]) -> None:
        """Give commands to QEMU's monitor, each after the one before is done."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            control.settimeout(10)
            control.connect(str(self._control))
            with control.makefile("rw") as lines:
                lines.readline()
                for command in ({"execute": "qmp_capabilities"}, *commands):
                    lines.write(json.dumps(command) + "\n")
                    lines.flush()
                    answer = json.loads(lines.readline())
                    while "event" in answer:
                        answer = json.loads(lines.readline())
                    if "error" in answer:
                        raise MachineError(f"QEMU: {answer['error']}")

    def keep_logs(self) -> None:
        """Copy what it said to C{LOGS}."""
        for process in self._processes:
            process.keep()


def until(condition: Callable[[], object], seconds: float, text: str) -> None:
    """Wait for a condition. Raises C{MachineError} with C{text} if it stays false."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise MachineError(f"{text} within {seconds:g} s")
        time.sleep(POLL)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder with a path short enough for unix sockets, gone afterwards."""
    # Not a TemporaryDirectory: that removes itself at exit, before the machines are stopped.
    folder = Path(tempfile.mkdtemp(prefix="spvm-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
