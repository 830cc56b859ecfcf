"""
The files of snapshots: C{snapshot} in the folder of a machine, files for the user of its VMM alone,
and beside that C{snapshot.json}, which is ours: whoever runs a VMM can't say what a snapshot is of,
nor put another file in the place of one that was written.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from subproxy.files.file_stamp import Stamp, file_stamp
from subproxy.machines.declaration import Machine
from subproxy.machines.instance_folder import make_folder
from subproxy.machines.snapshot_binding import SnapshotRecord, why_unusable
from subproxy.machines.snapshot_plan import room_fault

NAME: Final = "snapshot"
LONGEST_RECORD: Final = 1 << 16
"""Bytes of C{snapshot.json}."""

MOST_FILES: Final = 16
"""Of one snapshot. Those of cloud-hypervisor have three, others fewer."""


class SnapshotError(Exception):
    """There is none that could be used, or none can be made; the text says why."""


class SnapshotStore:
    """
    See above.

    @param folder: where machines have their files.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._known: dict[str, tuple[Stamp, int]] = {}

    def path(self, name: str) -> Path:
        """Where the snapshot of a machine is, if there is one."""
        return self._folder / name / NAME

    def usable(self, machine: Machine, fingerprint: str) -> Path:
        """
        Where a snapshot is that a machine can go on from.

        @raise SnapshotError: there is none.
        """
        place = self.path(machine.name)
        record = self._record(machine.name)
        why = why_unusable(record, fingerprint, _sizes(place))
        if why:
            raise SnapshotError(why)
        return place

    def has(self, machine: Machine, fingerprint: str) -> bool:
        """Whether there is one that what was started of that could go on from."""
        try:
            self.usable(machine, fingerprint)
        except SnapshotError:
            return False
        return True

    def size(self, name: str) -> int:
        """Bytes of the snapshot of a machine; 0: it has none. Who scrapes metrics asks often."""
        try:
            now = file_stamp(str(self._record_path(name)))
            known = self._known.get(name)
            if known is None or known[0] != now:
                known = self._known[name] = (now, self._record(name).size)
            return known[1]
        except (OSError, SnapshotError):
            self._known.pop(name, None)
            return 0

    def make_room(self, machine: Machine) -> Path:
        """
        An empty folder, which the VMM can write a snapshot to.

        @raise SnapshotError: it can't be had.
        """
        new = self.unfinished(machine.name)
        try:
            _remove(new)
            make_folder(new, machine.user)
            place = os.statvfs(new)
        except OSError as error:
            raise SnapshotError(_told(error, new)) from None
        fault = room_fault(place.f_bavail * place.f_frsize, machine.memory)
        if fault:
            _remove(new)
            raise SnapshotError(fault)
        return new

    def keep(self, machine: Machine, fingerprint: str) -> None:
        """
        What was written to L{make_room} is the machine's snapshot from now on.

        @raise SnapshotError: it can't be; nothing is left.
        """
        new, record = self.unfinished(machine.name), self._record_path(machine.name)
        half = self._half_record(machine.name)
        try:
            _take_over(new)
            _close_to_others(new)
            written = SnapshotRecord(fingerprint, _sizes(new))
            self.remove(machine.name, but=new)
            new.rename(self.path(machine.name))
            descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(written.to_json())
            # Last: without it there is no snapshot.
            half.rename(record)
        except OSError as error:
            self.remove(machine.name)
            raise SnapshotError(_told(error, record)) from None
        except SnapshotError:
            self.remove(machine.name)
            raise

    def remove(self, name: str, but: Path | None = None) -> None:
        """A machine has none from now on. Who goes on from its files has them still."""
        self._record_path(name).unlink(missing_ok=True)
        self._half_record(name).unlink(missing_ok=True)
        for place in (self.path(name), self.unfinished(name)):
            if place != but:
                _remove(place)

    def names(self) -> Iterator[str]:
        """The machines that have one, or a part of one."""
        for place in self._folder.glob(f"*/{NAME}*"):
            yield place.parent.name

    def sweep(self, known: Collection[str]) -> None:
        """Remove those of machines that there are no more, and what was never finished."""
        for name in set(self.names()):
            if name in known:
                _remove(self.unfinished(name))
            else:
                self.remove(name)

    def _record(self, name: str) -> SnapshotRecord:
        try:
            with open(self._record_path(name), encoding="ascii") as file:
                return SnapshotRecord.of_json(file.read(LONGEST_RECORD))
        except FileNotFoundError:
            raise SnapshotError("there is none") from None
        except (OSError, ValueError, RecursionError) as error:
            raise SnapshotError(f"snapshot.json: {error}") from None

    def unfinished(self, name: str) -> Path:
        """Where one is being written, if it is."""
        return self._folder / name / f"{NAME}.new"

    def _record_path(self, name: str) -> Path:
        return self._folder / name / f"{NAME}.json"

    def _half_record(self, name: str) -> Path:
        return self._folder / name / f"{NAME}.json.new"


def _sizes(place: Path) -> dict[str, int]:
    """
    The sizes of the files in a folder.

    @raise SnapshotError: it can't be read.
    """
    try:
        with os.scandir(place) as found:
            return {each.name: each.stat(follow_symlinks=False).st_size for each in found}
    except OSError as error:
        raise SnapshotError(_told(error, place)) from None


def _take_over(place: Path) -> None:
    """
    Have the folder as ours, and its files open to who can name them: whoever runs a VMM can change
    what it may write to, but put nothing else there.
    """
    if place.stat().st_uid != os.geteuid():
        os.chown(place, os.geteuid(), os.getegid())
        place.chmod(0o711)


def _close_to_others(place: Path) -> None:
    """
    Let only their owner read files: they have all that was in a guest's memory.

    @raise SnapshotError: what is there is no file, or belongs to others as well.
    """
    with os.scandir(place) as found:
        names = [each.name for each in islice(found, MOST_FILES + 1)]
    if len(names) > MOST_FILES:
        raise SnapshotError(f"more than {MOST_FILES} files")
    for name in names:
        # A VMM may be what its guest has made of it: nothing of it is followed.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(place / name, flags)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                raise SnapshotError(f"{name} is no file of its own")
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)


def _remove(place: Path) -> None:
    try:
        place.unlink()
    except OSError:  # a folder, or nothing
        try:
            shutil.rmtree(place, ignore_errors=True)
        except RecursionError:
            pass  # a VMM has made folders in folders: nobody takes them for a snapshot


def _told(error: OSError, place: Path) -> str:
    """What it says; who writes is not told of which file."""
    return f"{error.filename or place}: {error.strerror}"
