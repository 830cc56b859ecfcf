"""Hand-overs of the real proxy: by SIGUSR2, one process after the other."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from tests.integration.harness import World, wait_until

_TAKEN = re.compile(r"process (\d+) has taken over")


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal, which would end it otherwise."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^SigCgt:\s+([0-9a-f]+)$", status, re.MULTILINE)
    assert found, status
    return bool(int(found[1], 16) >> (number - 1) & 1)


class Line:
    """
    The proxies of a world, each the successor of the one before; or the programs of a parent of
    workers, one after the other in the same process.

    They write to the same log. None but the first is our child.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        assert world.proxy is not None
        self.pids = [world.proxy.child.pid]

    @property
    def log(self) -> str:
        """What all of them have printed."""
        assert self._world.proxy is not None
        return self._world.proxy.whole_lines

    def hand_over(self, deadline: float = 30.0) -> int:
        """Let the newest hand over; the pid of the one that took over."""
        before = len(_TAKEN.findall(self.log))
        # It may have said that it listens before it has got that far.
        wait_until(lambda: catches(self.pids[-1], signal.SIGUSR2), "it to catch the signal")
        os.kill(self.pids[-1], signal.SIGUSR2)

        def taken() -> int:
            found = _TAKEN.findall(self.log)
            if len(found) == before:
                assert "no new process came up" not in self.log, self.log
                return 0
            return int(found[-1])

        try:
            pid: int = wait_until(taken, "a new process to take over", deadline)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log}") from None
        if pid != self.pids[-1]:
            self.pids.append(pid)
        return pid

    def wait_for_the_old(self, deadline: float = 30.0) -> None:
        """Wait until all but the newest have ended."""
        for pid in self.pids[:-1]:
            wait_until(lambda pid=pid: not alive(pid), f"process {pid} to end", deadline)

    def end(self) -> None:
        """End all."""
        for pid in self.pids[1:]:
            if alive(pid):
                os.kill(pid, signal.SIGTERM)
        for pid in self.pids[1:]:
            wait_until(lambda pid=pid: not alive(pid), f"process {pid} to end")


def alive(pid: int) -> bool:
    """Whether that process runs: a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
