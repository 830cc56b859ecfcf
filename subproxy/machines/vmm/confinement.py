"""What the processes of machines are confined by, and what of it can't be had here."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from subproxy.core.printable import printable
from subproxy.machines.declaration import QEMU, Machine
from subproxy.machines.privileges import account, privileges
from subproxy.machines.vmm.control_group import (
    CONTROLLERS,
    ControlGroups,
    ResourceLimits,
    own_group,
)
from subproxy.machines.vmm.driver import Launch, VmmError
from subproxy.machines.vmm.memory_size import MEBIBYTE

OWN_MEMORY: Final = {QEMU: 512 * MEBIBYTE}
"""
Bytes that a VMM has beside its guest's memory. QEMU that emulates the processor keeps what it has
translated: it had 186 to 316 MB with guests that had touched 60 to 156 MB.
"""

OWN_MEMORY_ELSE: Final = 128 * MEBIBYTE
"""Of cloud-hypervisor and Firecracker: they had 37 and 23 MB with guests of 128 MiB."""

PROCESSES: Final = 256
"""Threads of a VMM: one a processor, and up to 64 for its disks."""

SYSTEMD: Final = Path("/run/systemd/system")
"""It is there when systemd runs (C{sd_booted(3)})."""


class Means(Enum):
    """
    By what limits are set.

    - C{GROUP}: a cgroup that we make below our own.
    - C{SCOPE}: a transient scope of systemd's.
    - C{NONE}: by nothing.
    """

    GROUP = "cgroup"
    SCOPE = "systemd scope"
    NONE = "none"


@dataclass(frozen=True)
class HostFacts:
    """
    What there is to confine with.

    @ivar root: whether we are.
    @ivar group: the folder of our cgroup (v2), or C{None}.
    @ivar writable: whether we may make groups in it.
    @ivar delegated: whether it is ours alone: systemd has delegated it, or it is the topmost group
        of a container.
    @ivar systemd: whether systemd runs this host.
    @ivar scopes: whether there is C{systemd-run}.
    @ivar setpriv: whether there is C{setpriv}, of util-linux.
    """

    root: bool
    group: Path | None
    writable: bool
    delegated: bool
    systemd: bool
    scopes: bool
    setpriv: bool


def means_of(facts: HostFacts) -> Means:
    """
    By what limits are set here.

    Where systemd runs, all groups are its own but those that it has delegated.
    """
    if facts.group is not None and facts.writable and (facts.delegated or not facts.systemd):
        return Means.GROUP
    if facts.systemd and facts.scopes and facts.root:
        return Means.SCOPE
    return Means.NONE


def missing_of(
    facts: HostFacts, means: Means, controllers: frozenset[str], machines: Iterable[Machine]
) -> tuple[str, ...]:
    """What can't be had, a sentence each, for the log at the start."""
    found = []
    if not facts.setpriv:
        found.append("no setpriv: VMMs may gain privileges, and outlive a proxy that is killed")
    if means is Means.NONE:
        if facts.systemd:
            why = "Delegate=yes in the proxy's unit gives it one"
        else:
            why = "there is no cgroup v2 that the proxy may write to"
        found.append(f"no cgroups, so no limits of memory and processors: {why}")
    elif means is Means.GROUP and (without := set(CONTROLLERS) - controllers):
        names = ", ".join(each for each in CONTROLLERS if each in without)
        found.append(f"no limits of {names}: the cgroup {facts.group} has no such controllers")
    if facts.root:
        names = ", ".join(sorted(each.name for each in machines if not each.user))
        if names:
            found.append(f"no user: VMMs run as root, without its capabilities: {names}")
    return tuple(found)


def limits_of(machine: Machine) -> ResourceLimits:
    """
    What the processes of a machine may use: the guest's, and what the VMM itself needs. A snapshot
    that is written to a file system in memory, as C{/run} is, counts as its writer's.
    """
    own = OWN_MEMORY.get(machine.vmm, OWN_MEMORY_ELSE)
    if machine.snapshot:
        own += machine.memory
    return ResourceLimits(machine.memory + own, machine.cpus + 1, PROCESSES)


def scope_words(unit: str, limits: ResourceLimits) -> list[str]:
    """The words before a command that put it into a scope of systemd's: C{systemd-run(1)}."""
    return [
        *("systemd-run", "--scope", "--quiet", "--collect", f"--unit={unit}"),
        f"--property=MemoryMax={limits.memory}",
        f"--property=CPUQuota={limits.cpus * 100}%",
        f"--property=TasksMax={limits.processes}",
        "--",
    ]


def group_words(joined: Path) -> list[str]:
    """The words before a command that put it into a cgroup before it does anything."""
    return ["/bin/sh", "-c", 'echo 0 >"$0" && exec "$@"', str(joined)]


class Confinement:
    """
    Confines the machines of one folder.

    @param folder: where the machines have their folders: two proxies have two.
    """

    def __init__(self, folder: Path, facts: HostFacts | None = None) -> None:
        self._facts = facts or facts_of_this_host()
        self._name = group_name(folder)
        self._means = means_of(self._facts)
        self._groups: ControlGroups | None = None

    def begin(self, machines: Iterable[Machine], *, resume: bool = False) -> tuple[str, ...]:
        """
        Make ready, and kill what an earlier proxy has left. It may block for two seconds.

        @param resume: this process has executed itself anew, and its machines go on.
        @return: what can't be had.
        """
        controllers: frozenset[str] = frozenset()
        facts = self._facts
        if self._means is Means.GROUP and facts.group is not None:
            groups = ControlGroups(facts.group, self._name)
            try:
                controllers = groups.prepare(may_move=facts.delegated, resume=resume)
            except OSError as error:
                reason = printable(f"no cgroups below {facts.group}: {error.strerror}")
                self._means = Means.NONE
                return (reason, *missing_of(facts, Means.GROUP, frozenset(CONTROLLERS), machines))
            self._groups = groups
        elif self._means is Means.SCOPE and not resume:
            subprocess.run(
                ["systemctl", "kill", "--signal=KILL", f"{self._name}-*.scope"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=30,
                check=False,
            )
        return missing_of(facts, self._means, controllers, machines)

    def admit(self, launch: Launch) -> None:
        """
        Before the first process of a machine: an empty group, if it has one.

        @raise VmmError: it can't be had.
        """
        if self._groups is not None:
            try:
                self._groups.make(_name_of(launch), limits_of(launch.machine))
            except OSError as error:
                raise VmmError(printable(f"no cgroup: {error.strerror}")) from None

    def command(self, launch: Launch, name: str, command: list[str]) -> list[str]:
        """
        A command with what confines it before it.

        @param name: of the process, among those of its machine.
        @raise VmmError: there is no such user, or we can't start as another one.
        """
        user, group = launch.machine.user, None
        if user:
            if not self._facts.root:
                raise VmmError(f"user {user}: the proxy must be root for that")
            try:
                group = account(user).pw_gid
            except FileNotFoundError:
                raise VmmError(f"there is no user {user}") from None
        if self._facts.setpriv:
            command = [*privileges(user, group, root=self._facts.root), *command]
        elif user:
            raise VmmError(f"user {user}: there is no setpriv, which that needs")
        if self._groups is not None:
            return [*group_words(self._groups.joining(_name_of(launch))), *command]
        if self._means is Means.SCOPE:
            unit = f"{self._name}-{_name_of(launch)}-{name}.scope"
            return [*scope_words(unit, limits_of(launch.machine)), *command]
        return command

    def dismiss(self, launch: Launch) -> str:
        """After the last process of a machine: a reason for its end that only the host knows."""
        if self._groups is not None and self._groups.remove(_name_of(launch)):
            limit = limits_of(launch.machine).memory // MEBIBYTE
            return f"killed for want of memory: all of it had {limit} MiB"
        return ""


def group_name(folder: Path) -> str:
    """The name of what confines the machines of a folder."""
    return f"subproxy-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]}"


def _name_of(launch: Launch) -> str:
    return f"{launch.machine.name}-{launch.index}"


def facts_of_this_host() -> HostFacts:
    """What there is here."""
    try:
        group = own_group(
            Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text()
        )
    except OSError:
        group = None
    return HostFacts(
        root=os.geteuid() == 0,
        group=group,
        writable=group is not None and os.access(group, os.W_OK),
        delegated=group is not None and _delegated(group),
        systemd=SYSTEMD.is_dir(),
        scopes=shutil.which("systemd-run") is not None,
        setpriv=shutil.which("setpriv") is not None,
    )


def _delegated(group: Path) -> bool:
    """
    Whether a cgroup is for us alone: systemd marks what it has delegated (C{CGROUP_DELEGATION.md}),
    and a container has a topmost one.
    """
    for name in ("user.delegate", "trusted.delegate"):
        try:
            if os.getxattr(group, name) == b"1":
                return True
        except OSError:
            pass
    return not SYSTEMD.is_dir() and Path("/proc/self/cgroup").read_text().endswith("0::/\n")
