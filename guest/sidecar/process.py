"""The program as a process: started in a session of its own, signalled, and reaped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Sequence

from guest.sidecar.listeners import listeners

ORPHANS = 1.0
"""Seconds between looks for children of others, as process 1."""


class ChildReaper:
    """
    Takes the status of children that end.

    By descriptors of processes, and where the kernel (before Linux 5.3), or a sandbox, has none, in
    threads: uvloop leaves SIGCHLD to nobody. As process 1 of a machine or a container we also get
    the children of others, which would stay zombies.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ours: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, pid: int, ended: Callable[[int], object]) -> None:
        """Call C{ended} with the status of that child, as a shell gives it: 128 + the signal."""
        self._ours.add(pid)
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            threading.Thread(target=self._wait, args=(pid, ended), daemon=True).start()
        else:
            self._loop.add_reader(descriptor, self._readable, descriptor, pid, ended)

    def _readable(self, descriptor: int, pid: int, ended: Callable[[int], object]) -> None:
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        self._reaped(pid, os.waitpid(pid, 0)[1], ended)

    def _wait(self, pid: int, ended: Callable[[int], object]) -> None:
        status = os.waitpid(pid, 0)[1]
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know
            self._loop.call_soon_threadsafe(self._reaped, pid, status, ended)

    def _reaped(self, pid: int, status: int, ended: Callable[[int], object]) -> None:
        self._ours.discard(pid)
        code = os.waitstatus_to_exitcode(status)
        ended(code if code >= 0 else 128 - code)

    def adopt(self) -> None:
        """Reap the children of others from now on."""
        self._timer = self._loop.call_later(ORPHANS, self.adopt)
        with contextlib.suppress(ChildProcessError):
            # Looked at first: the status of our own is for who watches it.
            while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if found.si_pid in self._ours:
                    return
                os.waitpid(found.si_pid, 0)

    def stop(self) -> None:
        """Adopt no more."""
        if self._timer is not None:
            self._timer.cancel()


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

    def listeners(self) -> list[str]:
        """Where it takes connections, as text; only what this user may see."""
        return listeners(self.pid)

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
