"""Starts processes pinned to a core, finds those to be counted, and ends what it started."""

from __future__ import annotations

import http.client
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

HOST = "bench.example"
START_SECONDS = 30.0


class NotStarted(Exception):
    """A process of a contender did not come up; the message has the end of its output."""


DESCRIPTORS = 65_536


def raise_descriptor_limit() -> int:
    """Allows this process many descriptors, more than it was granted if root; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < DESCRIPTORS:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
            return DESCRIPTORS
        except (ValueError, PermissionError):
            pass
    wanted = min(hard, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def descendants(pid: int) -> list[int]:
    """A process and all that descend from it, the oldest first."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found.extend(int(child) for child in task.read_text().split())
    return found


def resident_bytes(pids: Sequence[int]) -> int:
    """The resident memory of some processes, bytes; pages that they share count once for each."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time that some processes have used so far, all their threads, seconds."""
    # The clock of a process, as clock_getcpuclockid(3) makes it: CPUCLOCK_SCHED is 2.
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Polls a condition until it holds; C{NotStarted} after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NotStarted(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.02)


def wrk(port: int, host: str, core: int, seconds: float, connections: int) -> int:
    """
    Ask for C{/} of C{host} by wrk, on so many connections and for whole seconds.

    @return: how many requests were answered.
    @raise SystemExit: wrk had something to complain about, which is what that says.
    """
    load = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s"]
    load += ["-H", f"Host: {host}", f"http://127.0.0.1:{port}/"]
    said = subprocess.run(load, capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+) requests in", said)
    if found is None or "Non-2xx" in said:
        raise SystemExit(said)
    return int(found[1])


def answers(port: int, host: str = HOST) -> bool:
    """Whether GET /hello is answered with 200 on this port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/hello", headers={"Host": host})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Rig:
    """A directory for one contender's files and sockets, and the processes started for it.

    The counted processes run on C{server_core}, everything else on C{load_core}.
    """

    def __init__(self, name: str, server_core: int, load_core: int) -> None:
        self.name = name
        self.server_core = server_core
        self.load_core = load_core
        self.directory = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Rig:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def path(self, name: str) -> str:
        """The path of a file of this contender."""
        return str(self.directory / name)

    def write(self, name: str, text: str) -> str:
        """Writes a file, a configuration say, and returns its path."""
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def spawn(
        self, command: Sequence[str], *, counted: bool = False, env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts a process, its output kept in a file, on the core that its role has."""
        core = self.server_core if counted else self.load_core
        output = self.directory / f"output-{len(self._started)}"

        def pin() -> None:
            os.sched_setaffinity(0, {core})

        with output.open("wb") as file:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                preexec_fn=pin,  # noqa: PLW1509 (no threads here)
                env={**os.environ, **(env or {})},
            )
        self._started.append(process)
        return process

    def pids(self) -> list[int]:
        """All processes of this contender that run, counted or not."""
        return [
            pid
            for process in self._started
            if process.poll() is None
            for pid in descendants(process.pid)
        ]

    def wait_for_socket(self, name: str) -> str:
        """Waits until a unix socket of this directory is there; returns its path."""
        path = self.directory / name
        self._wait(path.is_socket, f"{self.name}: {name}")
        return str(path)

    def wait_for_answer(self, port: int, host: str = HOST, seconds: float = START_SECONDS) -> None:
        """Waits until the contender answers requests on this port."""
        self._wait(lambda: answers(port, host), f"{self.name}: an answer on its port", seconds)

    def _wait(
        self, condition: Callable[[], bool], what: str, seconds: float = START_SECONDS
    ) -> None:
        def holds() -> bool:
            for process in self._started:
                if process.poll() is not None:
                    raise NotStarted(f"{what}: {process.args!r} ended\n{self.output()}")
            return condition()

        try:
            wait_until(holds, what, seconds)
        except NotStarted as error:
            raise NotStarted(f"{error}\n{self.output()}") from None

    def output(self) -> str:
        """The last lines that the processes wrote."""
        parts: list[str] = []
        for path in sorted(self.directory.glob("output-*")):
            lines = path.read_text(errors="replace").splitlines()[-8:]
            parts.extend(f"  {path.name}: {line}" for line in lines)
        return "\n".join(parts)

    def close(self) -> None:
        """Ends the processes, the latest first, and removes the directory."""
        for process in reversed(self._started):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self._started):
            children = descendants(process.pid) if process.poll() is None else []
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                for pid in reversed(children):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
                process.wait(5)
        self._started.clear()
        shutil.rmtree(self.directory, ignore_errors=True)
