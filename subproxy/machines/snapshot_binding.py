"""
What a snapshot is bound to: it is of one kernel, one image, one version of one VMM and one boot of
the host, and of no other. Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from subproxy.machines.declaration import Machine, runs_by

FORMAT = 1
"""Of what is written of a snapshot."""


@dataclass(frozen=True)
class StartFacts:
    """
    What a machine would be started of, now.

    @ivar version: what its VMM says of itself, with its version.
    @ivar digests: of its files, by what they are to it: C{kernel}, C{initramfs}, C{disk}.
    @ivar boot: which boot of the host this is. After another one the processor may be another, or
        have other features; and what was written before may not be whole.
    @ivar kvm: whether its processors are the host's own, not emulated: those have other features.
    """

    version: str
    digests: Mapping[str, str]
    boot: str
    kvm: bool

    def fingerprint(self, machine: Machine) -> str:
        """What tells snapshots of this machine, as it is now, from all others."""
        whole = {"format": FORMAT, "machine": asdict(runs_by(machine)), **asdict(self)}
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class SnapshotRecord:
    """
    What is written beside a snapshot.

    @ivar fingerprint: L{StartFacts.fingerprint} of what the frozen instance was started of.
    @ivar files: their sizes, by name.
    """

    fingerprint: str
    files: Mapping[str, int]

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(self.files.values())

    def to_json(self) -> str:
        """For a file."""
        return json.dumps({"format": FORMAT, **asdict(self)})

    @classmethod
    def of_json(cls, text: str) -> SnapshotRecord:
        """
        What L{to_json} has made.

        @raise ValueError: it has not made this.
        """
        found: Any = json.loads(text)
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise ValueError("another format")
        fingerprint, files = found.get("fingerprint"), found.get("files")
        if not isinstance(fingerprint, str) or not isinstance(files, dict):
            raise ValueError("not what belongs here")
        if not all(type(size) is int for size in files.values()):
            raise ValueError("sizes are numbers")
        return cls(fingerprint, files)


def why_unusable(record: SnapshotRecord, fingerprint: str, sizes: Mapping[str, int]) -> str:
    """
    Why a start can't go on from a snapshot; empty: it can.

    @param fingerprint: of what would be started.
    @param sizes: of the files that are there.
    """
    if record.fingerprint != fingerprint:
        return "what it was made of has changed"
    if dict(sizes) != dict(record.files):
        return "its files are not those that were written"
    return ""
