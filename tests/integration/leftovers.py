"""What a proxy and its machines have of this host: nothing is left of what has ended."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from subproxy.machines.vmm.confinement import group_name

CGROUPS = Path("/sys/fs/cgroup")
LOGS = (".log", ".begin")
_SCRATCH = re.compile(r"\.\w{8}/s$")
"""A socket is bound by another name, and moved to its own when it listens."""


@dataclass(frozen=True)
class Leftovers:
    """
    All that there is in one moment.

    @ivar processes: the proxy, its descendants, and whoever knows its folder; by program, how many.
    @ivar descriptors: of the proxy and its descendants: what it is of, and how many of these.
    @ivar sockets: the names of unix sockets below its folder, bound by anybody.
    @ivar cgroups: those of its machines.
    @ivar files: below the folder of its machines, without the logs that each machine keeps.
    """

    processes: Counter[str]
    descriptors: Counter[str]
    sockets: Counter[str]
    cgroups: tuple[str, ...]
    files: tuple[str, ...]

    def beyond(self, before: Leftovers) -> dict[str, object]:
        """What is here, and was not before; empty if nothing is."""
        more: dict[str, object] = {
            name: dict(getattr(self, name) - getattr(before, name))
            for name in ("processes", "descriptors", "sockets")
        }
        for name in ("cgroups", "files"):
            more[name] = sorted(set(getattr(self, name)) - set(getattr(before, name)))
        return {name: each for name, each in more.items() if each}


def leftovers(proxy: int, folder: Path, machines: Path) -> Leftovers:
    """
    Look.

    @param proxy: its process.
    @param folder: all that its processes are told stands below it.
    @param machines: the folder of its machines.
    """
    family = descendants(proxy)
    known = {*family, os.getpid()}
    others = [pid for pid in _pids() if pid not in known and _knows(pid, folder)]
    programs = (_program(pid) for pid in [*family, *others])
    return Leftovers(
        processes=Counter(filter(None, programs)),
        descriptors=Counter(each for pid in family for each in _descriptors(pid)),
        sockets=Counter(
            _SCRATCH.sub("", line.partition(f" {folder}/")[2])
            for line in Path("/proc/net/unix").read_text().splitlines()
            if f" {folder}/" in line
        ),
        cgroups=tuple(sorted(str(each) for each in CGROUPS.rglob(f"{group_name(machines)}*"))),
        files=tuple(
            sorted(
                str(each.relative_to(machines))
                for each in machines.rglob("*")
                if not each.name.removesuffix(".1").endswith(LOGS)
            )
        ),
    )


def descendants(pid: int) -> list[int]:
    """A process and all below it, the oldest first."""
    parents = {each: _parent(each) for each in _pids()}
    found = [pid]
    for above in found:
        found += sorted(each for each, of in parents.items() if of == above)
    return found


def resident(pid: int) -> float:
    """MB of memory that a process has; 0 if it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def sockets_of(pid: int) -> list[str]:
    """The inodes of its sockets."""
    try:
        targets = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []
    return [each[8:-1] for each in targets if each.startswith("socket:[")]


def _pids() -> list[int]:
    return [int(each.name) for each in Path("/proc").glob("[0-9]*")]


def _parent(pid: int) -> int:
    try:
        # The program's name in parentheses may hold anything.
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def _knows(pid: int, folder: Path) -> bool:
    """Whether its command line or environment names that folder."""
    for name in ("cmdline", "environ"):
        try:
            if os.fsencode(folder) in Path(f"/proc/{pid}/{name}").read_bytes():
                return True
        except OSError:
            pass
    return False


def _program(pid: int) -> str:
    """What it runs: the file, since a name changes when a proxy executes itself anew."""
    try:
        return Path(os.readlink(f"/proc/{pid}/exe")).name
    except OSError:
        return "zombie" if Path(f"/proc/{pid}").exists() else ""


def _descriptors(pid: int) -> list[str]:
    """What each of its descriptors is of: a path, or a kind, such as C{socket}."""
    found = []
    try:
        for each in Path(f"/proc/{pid}/fd").iterdir():
            target = os.readlink(each)
            found.append(target if target[0] == "/" else target.partition(":[")[0])
    except OSError:
        pass  # it ends, or has closed one meanwhile
    return found
