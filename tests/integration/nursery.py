"""
Starts guests (and back ends for the peers) quickly: by fork, from a process that has imported
all that they need. A guest that is killed each second must not spend that second importing.

Speaks lines on its standard input and output: C{guest ARGUMENT...}, C{light SOCKET HOST} or
C{backend PORT WORK} answers the pid. What it started ends with it.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from tests.integration import light

ROOT = Path(__file__).resolve().parent.parent.parent


class Nursery:
    """The other end: starts and kills."""

    def __init__(self, executed: Path, log: Path) -> None:
        path = os.environ.get("PYTHONPATH", "")
        self._log = log.open("ab")
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
            env=dict(os.environ, EXECUTED=str(executed), PYTHONPATH=f"{ROOT}:{path}"),
        )
        self._lock = threading.Lock()
        self.pids: set[int] = set()

    def start(self, *words: str) -> int:
        """Start one; its pid."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with self._lock:
            self._child.stdin.write(shlex.join(words).encode() + b"\n")
            self._child.stdin.flush()
            pid = int(self._child.stdout.readline())
        self.pids.add(pid)
        return pid

    def guest(self, vsock: Path | str, host: str, worker: int = 0) -> int:
        """Start a guest of that host, with the real guest library."""
        return self.start(
            "guest",
            f"--proxy=unix:{vsock}_12345",
            f"--host={host}",
            f"--worker={worker}",
            "tests.integration.counting:Counting",
        )

    def light(self, vsock: Path | str, host: str) -> int:
        """Start a guest of that host that is what L{backend} is."""
        return self.start("light", f"{vsock}_12345", host)

    def backend(self, port: int, work: int = 0) -> int:
        """Start a back end for another proxy on a port of loopback."""
        return self.start("backend", str(port), str(work))

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one that was started here."""
        assert pid in self.pids
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
        if number is signal.SIGKILL:
            self.pids.discard(pid)

    def close(self) -> None:
        """End all."""
        for pid in list(self.pids):
            self.kill(pid)
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        self._child.stdout.close()
        self._child.wait(10)
        self._log.close()


def _child(words: list[str]) -> int:
    if words[0] == "backend":
        light.backend(*map(int, words[1:]))
        return 0
    if words[0] == "light":
        light.guest(words[1], words[2])
        return 0
    from guest.__main__ import main

    return main(words[1:])


def _serve(read: Callable[[], bytes]) -> None:
    import tests.integration.counting  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while line := read():
        words = shlex.split(line.decode())
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(2, 1)
            status = 1
            try:
                status = _child(words)
            finally:
                os._exit(status)
        os.write(1, b"%d\n" % pid)


if __name__ == "__main__":
    _serve(sys.stdin.buffer.readline)
