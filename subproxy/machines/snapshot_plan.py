"""
The snapshot of a machine: whether there is one, and when it is made. Pure, as a L{Supervisor
<subproxy.machines.supervisor.Supervisor>} is, whose part it is.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from subproxy.core.states import TransitionTable

RETRY: Final = 600.0
"""Seconds until a snapshot that could not be made, or used, is made again."""

FREEZE_LIMIT: Final = 120.0
"""Seconds that an instance has to be frozen. 128 MiB took 0.3 s (vmm.md), a slow disk more."""

RESTORE_LIMIT: Final = 10.0
"""Seconds, at most, that one has to register when it was restored: the first request waits for it,
and may have to wait for a start without snapshot behind it. 0.13 to 0.5 s were measured."""

ROOM_BESIDE: Final = 64 << 20
"""Bytes that stay free beside a snapshot."""


class SnapshotState(Enum):
    """
    - C{NONE}: there is none that could be used.
    - C{TAKING}: an instance is being frozen.
    - C{READY}: starts go on from it.
    - C{FAILED}: it could not be made, or used: another one is made later.
    """

    NONE = auto()
    TAKING = auto()
    READY = auto()
    FAILED = auto()


TRANSITIONS: TransitionTable[SnapshotState] = TransitionTable(
    {
        SnapshotState.NONE: [SnapshotState.TAKING, SnapshotState.READY],
        SnapshotState.TAKING: [SnapshotState.READY, SnapshotState.FAILED],
        SnapshotState.READY: [SnapshotState.TAKING, SnapshotState.NONE, SnapshotState.FAILED],
        SnapshotState.FAILED: [SnapshotState.TAKING, SnapshotState.NONE],
    }
)


class SnapshotPlan:
    """
    See above.

    @ivar state: how the snapshot is, as far as is known.
    @ivar reason: why it has failed, last.
    @ivar wanted: an operator wants a new one.
    @ivar counts: how often one was taken, could not be taken, was gone on from, and could not be.
    """

    def __init__(self) -> None:
        self.state = SnapshotState.NONE
        self.reason = ""
        self.wanted = False
        self.counts = {"taken": 0, "failed": 0, "restored": 0, "broken": 0}
        self._again = 0.0

    def due(self, now: float) -> bool:
        """Whether an instance that ends because nobody uses it is to be frozen."""
        if self.state is SnapshotState.TAKING:
            return False
        if self.wanted or self.state is SnapshotState.NONE:
            return True
        return self.state is SnapshotState.FAILED and now >= self._again

    def take(self) -> None:
        """An instance is being frozen."""
        self.wanted = False
        self._move(SnapshotState.TAKING)

    def taken(self) -> None:
        """It is: its files are in place."""
        self.counts["taken"] += 1
        self._move(SnapshotState.READY)

    def not_taken(self, reason: str, now: float) -> None:
        """It could not be; what there was before is gone."""
        self.counts["failed"] += 1
        self._fail(reason, now)

    def found(self) -> None:
        """There is one that a start can go on from: an earlier proxy may have left it."""
        if self.state is SnapshotState.NONE:
            self._move(SnapshotState.READY)

    def missing(self) -> None:
        """There is none, or what it was made of has changed."""
        if self.state is SnapshotState.READY:
            self._move(SnapshotState.NONE)

    def restored(self) -> None:
        """An instance that went on from it has registered."""
        self.counts["restored"] += 1

    def broken(self, reason: str, now: float) -> bool:
        """
        One that went on from it did not come up, or ended soon.

        @return: whether it is to be removed: another one may be on its way.
        """
        self.counts["broken"] += 1
        if self.state is not SnapshotState.READY:
            return False
        self._fail(reason, now)
        return True

    def dropped(self) -> bool:
        """An operator wants none of what there is; whether that can be: none is being made."""
        if self.state is SnapshotState.TAKING:
            return False
        self.wanted, self.reason = False, ""
        if self.state is not SnapshotState.NONE:
            self._move(SnapshotState.NONE)
        return True

    def declared_anew(self) -> None:
        """What failed before may go now."""
        if self.state is SnapshotState.FAILED:
            self._move(SnapshotState.NONE)

    def _fail(self, reason: str, now: float) -> None:
        self.reason, self._again = reason, now + RETRY
        self._move(SnapshotState.FAILED)

    def _move(self, state: SnapshotState) -> None:
        self.state = TRANSITIONS.move(self.state, state)


def room_fault(free: int, memory: int) -> str:
    """Why a machine with so much memory can't be frozen where so much is free; empty: it can."""
    needed = memory + ROOM_BESIDE
    if free >= needed:
        return ""
    return f"no room for a snapshot: {free >> 20} MiB are free, of {needed >> 20} that it may need"
