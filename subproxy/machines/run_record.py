"""Which process an instance is, in a file: a proxy that was killed leaves it to the next one."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

SUFFIX: Final = ".running"
"""
It stands beside the folder of its instance, which may be another user's: who could write it there
could have a proxy that is root end any process.
"""


def _path(folder: Path) -> Path:
    return folder.with_name(folder.name + SUFFIX)


def started_at(pid: int) -> int:
    """When a process has started, in ticks since boot (C{proc(5)}, field 22); 0: there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return 0
    # The name may hold anything, even what ends it.
    return int(stat.rpartition(b") ")[2].split()[19])


@dataclass(frozen=True)
class RunRecord:
    """
    One process.

    @ivar started: when it has started: a number may be another process's by now.
    """

    pid: int
    started: int = 0

    def write(self, folder: Path) -> None:
        """Leave it beside the folder of its instance."""
        found = asdict(RunRecord(self.pid, started_at(self.pid)))
        _path(folder).write_text(json.dumps(found), encoding="ascii")

    @staticmethod
    def remove(folder: Path) -> None:
        """It has ended."""
        try:
            os.unlink(_path(folder))
        except OSError:
            pass

    @classmethod
    def read(cls, folder: Path) -> RunRecord | None:
        """What is beside the folder of an instance; None: nothing that anybody could read."""
        try:
            found = json.loads(_path(folder).read_text(encoding="ascii"))
            return cls(int(found["pid"]), int(found["started"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def runs(self) -> bool:
        """Whether that process runs."""
        return self.started > 0 and started_at(self.pid) == self.started

    def kill(self) -> bool:
        """End it, if it runs; whether it did."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            # Looked at while it is held: the number can't become another's any more.
            if not self.runs:
                return False
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)


def end_left_over(folder: str) -> Iterator[tuple[str, int]]:
    """End what a proxy that was killed has left running; the folder and the process of each."""
    for path in sorted(Path(folder).glob(f"*/*{SUFFIX}")):
        place = path.with_suffix("")
        found = RunRecord.read(place)
        if found is not None and found.kill():
            yield str(place), found.pid
        RunRecord.remove(place)
