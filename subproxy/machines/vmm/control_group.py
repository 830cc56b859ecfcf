"""
Control groups (cgroup v2) for machines: one each, with limits, and a way to end all that is in it.

See the kernel's C{Documentation/admin-guide/cgroup-v2.rst}. The groups stand below that of this
process: C{<own>/<name of the set>/<machine>}.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONTROLLERS: Final[tuple[str, ...]] = ("memory", "cpu", "pids")

PERIOD: Final = 100_000
"""Microseconds of C{cpu.max}."""

LEAF: Final = "proxy"
"""Where our own processes go: a group with controllers for its children can't have processes."""

PATIENCE: Final = 2.0
"""Seconds that killed processes have to be gone, when a start finds some."""


@dataclass(frozen=True)
class ResourceLimits:
    """
    What a machine's processes may use together.

    @ivar memory: bytes.
    @ivar cpus: processors, at any time.
    @ivar processes: threads count, too.
    """

    memory: int
    cpus: int
    processes: int


def own_group(memberships: str, mounts: str) -> Path | None:
    """
    The folder of a process' cgroup, if there is cgroup v2.

    @param memberships: C{/proc/self/cgroup}.
    @param mounts: C{/proc/self/mountinfo}.
    """
    inner = next((line[3:] for line in memberships.splitlines() if line.startswith("0::/")), None)
    if inner is None:
        return None
    for line in mounts.splitlines():
        about, _, kind = line.partition(" - ")
        fields = about.split(" ")
        if kind.startswith("cgroup2 ") and len(fields) > 4 and fields[3] == "/":
            return Path(fields[4]) / inner.lstrip("/")
    return None


class ControlGroups:
    """
    The groups of a set of machines.

    @param own: the folder of our own group.
    @param name: of the set: two proxies that share a group have different ones.
    """

    def __init__(self, own: Path, name: str) -> None:
        self._own = own
        self._top = own / name
        self._enabled: frozenset[str] = frozenset()

    def prepare(self, *, may_move: bool, resume: bool = False) -> frozenset[str]:
        """
        Find out which controllers can be had, and kill what an earlier proxy has left in the set.

        @param may_move: our group is ours alone: if need be, its processes move to a child of it.
        @param resume: what is in the set is ours: nothing is killed.
        @return: the controllers.
        @raise OSError: there can't be such a group.
        """
        self._top.mkdir(exist_ok=True)
        if not resume:
            self._clear()
            self._top.rmdir()
        available = frozenset(_read(self._own / "cgroup.controllers").split())
        wanted = [each for each in CONTROLLERS if each in available]
        try:
            self._enable(self._own, wanted)
        except OSError as error:
            if error.errno != errno.EBUSY or not may_move:
                return frozenset()
            self._move_away()
            self._enable(self._own, wanted)
        self._enabled = frozenset(wanted)
        return self._enabled

    def joining(self, name: str) -> Path:
        """The file of a group into which a process writes C{0} to join."""
        return self._top / name / "cgroup.procs"

    def make(self, name: str, limits: ResourceLimits) -> None:
        """
        An empty group with these limits.

        @raise OSError: it can't be had.
        """
        group = self._top / name
        self._top.mkdir(exist_ok=True)
        self._enable(self._top, [each for each in CONTROLLERS if each in self._enabled])
        group.mkdir(exist_ok=True)
        _kill(group)
        if "memory" in self._enabled:
            (group / "memory.max").write_text(str(limits.memory))
            # All of a machine or nothing of it: half a machine is of no use.
            (group / "memory.oom.group").write_text("1")
        if "cpu" in self._enabled:
            (group / "cpu.max").write_text(f"{limits.cpus * PERIOD} {PERIOD}")
        if "pids" in self._enabled:
            (group / "pids.max").write_text(str(limits.processes))

    def remove(self, name: str) -> bool:
        """
        End what is left in a group, and remove it; with the last one goes that of the set.

        @return: whether its processes were killed for want of memory.
        """
        group = self._top / name
        killed = False
        with contextlib.suppress(OSError):
            events = dict(line.split() for line in _read(group / "memory.events").splitlines())
            killed = events.get("oom_kill", "0") != "0"
        with contextlib.suppress(OSError):
            _kill(group)
            group.rmdir()
            self._top.rmdir()
        return killed

    def _clear(self) -> None:
        limit = time.monotonic() + PATIENCE
        for group in [each for each in self._top.iterdir() if each.is_dir()]:
            _kill(group)
            while _processes(group) and time.monotonic() < limit:
                time.sleep(0.01)
            group.rmdir()

    def _enable(self, group: Path, controllers: list[str]) -> None:
        if controllers:
            text = " ".join(f"+{each}" for each in controllers)
            (group / "cgroup.subtree_control").write_text(text)

    def _move_away(self) -> None:
        leaf = self._own / LEAF
        leaf.mkdir(exist_ok=True)
        for pid in _processes(self._own):
            with contextlib.suppress(ProcessLookupError):
                (leaf / "cgroup.procs").write_text(str(pid))


def _kill(group: Path) -> None:
    """SIGKILL to all in it: by the kernel since Linux 5.14, by us before."""
    try:
        (group / "cgroup.kill").write_text("1")
    except FileNotFoundError:
        for pid in _processes(group):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _processes(group: Path) -> list[int]:
    return [int(each) for each in _read(group / "cgroup.procs").split()]


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii")
