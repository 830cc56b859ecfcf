"""The program as a process: started in a session of its own, signalled, and reaped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Sequence


class ChildReaper:
    """
    Takes the status of every child that ends.

    As process 1 of a machine or a container those of others come to us too, and would stay zombies.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[int, Callable[[int], object]] = {}

    def start(self) -> None:
        """Listen for C{SIGCHLD}: in the main thread only, and nobody else may wait for children."""
        self._loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def stop(self) -> None:
        """Listen no more."""
        self._loop.remove_signal_handler(signal.SIGCHLD)

    def watch(self, pid: int, ended: Callable[[int], object]) -> None:
        """Call C{ended} with the status of that child, as a shell gives it: 128 + the signal."""
        self._waiting[pid] = ended

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            ended = self._waiting.pop(pid, None)
            if ended is not None:
                code = os.waitstatus_to_exitcode(status)
                ended(code if code >= 0 else 128 - code)


class ProgramProcess:
    """
    One run of the program: it, and what it starts.

    It has a session of its own, so that Ctrl-C in a terminal reaches us alone, and in it a process
    group, of which nothing is left when we are done.
    """

    def __init__(
        self, reaper: ChildReaper, command: Sequence[str], ended: Callable[[int], object]
    ) -> None:
        """
        Start it: standard streams, environment and folder are ours.

        @param ended: called with its status, when the first process of it has ended.
        @raise OSError: it can't be started.
        """
        self._ended = ended
        self._popen = subprocess.Popen(command, start_new_session=True)
        self.pid = self._popen.pid
        reaper.watch(self.pid, self._reaped)

    def _reaped(self, status: int) -> None:
        self._popen.returncode = status  # for Popen, which would wait itself
        self._ended(status)

    @property
    def running(self) -> bool:
        """Whether its first process is there."""
        return self._popen.returncode is None

    def signal(self, number: int) -> None:
        """Send a signal to its first process."""
        if self.running:
            os.kill(self.pid, number)

    def signal_all(self, number: int) -> bool:
        """Send a signal to all of its group, 0 for none; whether there is anybody left in it."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:  # somebody in it is another user now
            return True
        return True
