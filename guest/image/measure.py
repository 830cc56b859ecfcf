"""How long a machine takes from nothing to its first answer, and where that time goes.

The image is booted by the very command that is printed for QEMU without KVM, behind a proxy of its
own on a free port of this machine. It is cold each time: a new QEMU, a new C{vhost-device-vsock}.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from guest.image.machines import BootSpec, qemu_words, vhost_words

NEEDED = ("qemu-system-x86_64", "vhost-device-vsock")
HOST = "machine.invalid"
ROUTE = r"subproxy.host=machine\.invalid subproxy.path=/.* subproxy.proxy=vsock:2:12345"
ROUNDS = 3
PATIENCE = 180.0
"""Seconds until a machine has registered."""

_LINE = re.compile(rb"subproxy-init: \[(\d+\.\d+)\] (up|starting)\b")
_REGISTERED = re.compile(rb"^registered host=", re.MULTILINE)


class MeasureError(Exception):
    """A machine that can't be measured."""


@dataclass(frozen=True)
class BootTimes:
    """
    Seconds of one cold start, one part after the other, and what it took of the host's memory.

    @ivar load: the VMM, its firmware, and the kernel until its clock runs.
    @ivar kernel: until C{init} runs; the image is unpacked in it.
    @ivar init: until the application is started.
    @ivar register: until the proxy has its route.
    @ivar answer: from a request to the first byte of its answer.
    @ivar memory: MB of the machine's memory that was touched.
    """

    load: float
    kernel: float
    init: float
    register: float
    answer: float
    memory: float

    @property
    def total(self) -> float:
        """From the VMM's start to the first byte."""
        return self.load + self.kernel + self.init + self.register + self.answer


def check_tools() -> None:
    """
    See whether it can be measured here.

    @raise MeasureError: a tool is missing.
    """
    missing = [each for each in NEEDED if shutil.which(each) is None]
    if missing:
        raise MeasureError(f"no {' and no '.join(missing)} here: --measure wants QEMU")


def split(
    times: Sequence[tuple[float, bytes]], answered: float, answer: float, memory: float
) -> BootTimes:
    """
    The parts of a start.

    @param times: the console's lines, each with the seconds from the VMM's start.
    @param answered: when the first byte of the answer came, C{answer} seconds behind its request.
    @raise MeasureError: a line is missing.
    """
    found: dict[bytes, tuple[float, float]] = {}
    registered = None
    for at, line in times:
        if match := _LINE.search(line):
            found.setdefault(match[2], (at, float(match[1])))
        elif registered is None and _REGISTERED.search(line):
            registered = at
    if registered is None or len(found) != 2:
        raise MeasureError("its console has no line of init, or none of its registration")
    (started, clock), (_, up) = found[b"starting"], found[b"up"]
    return BootTimes(
        load=started - clock,
        kernel=up,
        init=clock - up,
        register=answered - answer - started,
        answer=answer,
        memory=memory,
    )


def table(found: Sequence[BootTimes]) -> str:
    """What is told of several starts: the median of each part, and of the whole."""
    told = {
        "load": "QEMU, firmware, and the kernel until its clock runs",
        "kernel": "the kernel, which unpacks the image",
        "init": "init: mounts, modules, settings",
        "register": "the application, until it is registered",
        "answer": "from a request to the first byte",
    }
    lines = [
        f"{median(getattr(each, name) for each in found):7.2f} s  {told[name]}" for name in told
    ]
    totals = [each.total for each in found]
    lines.append(
        f"{median(totals):7.2f} s  in all ({min(totals):.2f} to {max(totals):.2f}, of {len(found)})"
    )
    lines.append(f"{median(each.memory for each in found):7.0f} MB of its memory touched")
    return "\n".join(lines)


def measure(
    machine: BootSpec, rounds: int, say: Callable[[str], None], more: str = ""
) -> list[BootTimes]:
    """
    Boot a machine cold, several times.

    @param more: what its kernel is told beyond what boots it.
    @raise MeasureError: a tool is missing, or it does not answer.
    """
    check_tools()
    found = []
    with tempfile.TemporaryDirectory(prefix="sp-boot-", dir="/tmp") as folder, _ended() as spawn:
        socket = f"{folder}/vm.sock"
        port = _proxy(spawn, Path(folder), socket)
        for number in range(rounds):
            say(f"start {number + 1} of {rounds}")
            found.append(_boot(replace(machine, socket=socket), f"{ROUTE} {more}".strip(), port))
    return found


Spawn = Callable[..., "subprocess.Popen[bytes]"]


@contextmanager
def _ended() -> Iterator[Spawn]:
    """What starts processes that end with this block, the last first."""
    running: list[subprocess.Popen[bytes]] = []

    def spawn(words: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            **options,  # type: ignore[call-overload]
        )
        running.append(process)
        return process

    def told(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    # Whoever is ended so would leave a machine running.
    before = signal.signal(signal.SIGTERM, told)
    try:
        yield spawn
    finally:
        signal.signal(signal.SIGTERM, before)
        for process in reversed(running):
            process.send_signal(signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _proxy(spawn: Spawn, folder: Path, socket: str) -> int:
    """Start a proxy; its port."""
    twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
    log = folder / "proxy.log"
    with log.open("wb") as output:
        process = spawn(
            [
                *(*twistd, "-n", "--pidfile=", "subproxy", "--access-log=none"),
                *("--http=tcp:0:interface=127.0.0.1", f"--vsock={socket}"),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        said = log.read_text(errors="replace")
        port = re.search(r"HTTP on .*port=(\d+)\).*\n", said)
        if port and "guests on" in said:
            return int(port[1])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise MeasureError(f"the proxy does not run: {log.read_text(errors='replace')[-500:]}")


def _boot(machine: BootSpec, more: str, port: int) -> BootTimes:
    """One start, from nothing."""
    with _ended() as spawn:
        vhost = Path(f"{machine.socket}.vhost")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        spawn(vhost_words(machine), **quiet)
        deadline = time.monotonic() + 10
        while not vhost.exists():
            if time.monotonic() > deadline:
                raise MeasureError("vhost-device-vsock made no socket")
            time.sleep(0.01)
        began = time.monotonic()
        process = spawn(qemu_words(machine, more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert process.stdout is not None
        timer = _Timer(process)
        lines = []
        for line in process.stdout:
            lines.append((time.monotonic() - began, line))
            if _REGISTERED.search(line):
                break
        else:
            end = b"".join(line for _, line in lines[-10:]).decode(errors="replace")
            late = f"did not register within {PATIENCE:g} s" if timer.rang else "ended"
            raise MeasureError(f"the machine {late}; the last that it said:\n{end}")
        timer.stop()
        asked = time.monotonic()
        client = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            client.request("GET", "/", headers={"Host": HOST})
            status = client.getresponse().status
        except OSError as error:
            raise MeasureError(f"no answer: {error}") from error
        finally:
            client.close()
        answered = time.monotonic()
        if status >= 502:
            raise MeasureError(f"the proxy answers {status}")
        return split(lines, answered - began, answered - asked, _touched(process.pid))


class _Timer:
    """Ends a process that takes too long."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        import threading

        self.rang = False
        self._process = process
        self._timer = threading.Timer(PATIENCE, self._ring)
        self._timer.daemon = True
        self._timer.start()

    def _ring(self) -> None:
        self.rang = True
        self._process.kill()

    def stop(self) -> None:
        self._timer.cancel()


def _touched(pid: int) -> float:
    """MB of a machine's memory, which QEMU has in a file of memory, that are there."""
    for each in Path(f"/proc/{pid}/fd").iterdir():
        if "memory-backend-memfd" in os.readlink(each):
            return each.stat().st_blocks * 512 / 1e6
    return 0.0
