"""
Which version of which VMM can freeze a machine and go on from that on another path, in one table;
and what is safe when a machine was paused and can't be frozen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from subproxy.machines.declaration import CLOUD_HYPERVISOR, FIRECRACKER, PROCESS, QEMU

Version = tuple[int, ...]


@dataclass(frozen=True)
class SnapshotSupport:
    """
    One row.

    @ivar vmm: one of L{VMMS<subproxy.machines.declaration.VMMS>}.
    @ivar since: the first version that it is of.
    @ivar can: whether snapshots can be made and used.
    @ivar pauses: how a machine is paused.
    @ivar resumes: whether one that was paused, and not frozen, may be let run on; where not, it is
        ended.
    @ivar why: what is to know, or why not.
    @ivar source: how we know.
    """

    vmm: str
    since: Version
    can: bool
    pauses: str
    resumes: bool
    why: str
    source: str


SUPPORT: Final[tuple[SnapshotSupport, ...]] = (
    SnapshotSupport(
        CLOUD_HYPERVISOR,
        (0,),
        can=False,
        pauses="vm.pause",
        resumes=True,
        why="connections of a restored guest hang: they are reset since version 52",
        source="cloud-hypervisor's release notes of v52, pull request 7958",
    ),
    SnapshotSupport(
        CLOUD_HYPERVISOR,
        (52,),
        can=True,
        pauses="vm.pause",
        resumes=True,
        why="the path of the device is in the snapshot's config.json, which is edited",
        source="run with 53.0: pause, snapshot, resume and restore; see docs/howto/vmms.md",
    ),
    SnapshotSupport(
        FIRECRACKER,
        (0,),
        can=False,
        pauses="PATCH /vm Paused",
        resumes=True,
        why="a restored device has the path of the snapshot: vsock_override came with 1.16.0",
        source="Firecracker's CHANGELOG, 1.16.0",
    ),
    SnapshotSupport(
        FIRECRACKER,
        (1, 16),
        can=True,
        pauses="PATCH /vm Paused, then snapshot/create",
        resumes=False,
        why="no event reaches a guest that was only paused and resumed",
        source="run with 1.16.1, and Firecracker's issue 6074",
    ),
    SnapshotSupport(
        FIRECRACKER,
        (1, 17),
        can=True,
        pauses="PATCH /vm Paused",
        resumes=True,
        why="a bare pause is mended",
        source="read: Firecracker's CHANGELOG, unreleased, pull request 6100",
    ),
    SnapshotSupport(
        QEMU,
        (0,),
        can=False,
        pauses="stop",
        resumes=True,
        why="not tried with a version before 7.2",
        source="",
    ),
    SnapshotSupport(
        QEMU,
        (7, 2),
        can=True,
        pauses="device_del of the vsock device, then stop",
        resumes=True,
        why="State blocked by non-migratable device vhost-user-vsock, says migrate: so the device "
        "is unplugged before, and plugged in anew after; the guest's kernel needs PCI hotplug",
        source="run with 7.2.22 and vhost-device-vsock 0.3.0, emulated (TCG)",
    ),
    SnapshotSupport(
        PROCESS,
        (0,),
        can=False,
        pauses="",
        resumes=True,
        why="a process is no virtual machine",
        source="",
    ),
)
"""All rows; of one VMM the later version is further down."""

ABLE: Final = tuple(dict.fromkeys(each.vmm for each in SUPPORT if each.can))
"""The VMMs of which a version can."""


def version_of(text: str) -> Version:
    """
    The version in what C{PROGRAM --version} prints: C{Firecracker v1.16.1}, C{cloud-hypervisor
    v53.0}, C{QEMU emulator version 7.2.22 (Debian ...)}. C{(0,)}: there is none in it.
    """
    found = re.search(r"\d{1,6}(?:\.\d{1,6})*", text)
    return tuple(map(int, found[0].split("."))) if found else (0,)


def support(vmm: str, version: Version) -> SnapshotSupport:
    """The row of that version."""
    return [each for each in SUPPORT if each.vmm == vmm and each.since <= version][-1]


def refusal(vmm: str, text: str) -> str:
    """
    Why a machine can't be frozen; empty: it can.

    @param text: what its VMM says of itself.
    """
    row = support(vmm, version_of(text))
    return "" if row.can else f"{text or vmm} can't: {row.why}"
