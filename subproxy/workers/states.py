"""The life of a worker, as its parent sees it."""

from __future__ import annotations

from enum import Enum, auto

from subproxy.core.states import TransitionTable


class WorkerState(Enum):
    """
    Where a worker is in its life.

    - C{STARTING}: asked for; it does not serve yet.
    - C{SERVING}: it has its listeners, and gets guests.
    - C{RETIRING}: another one has its slot, or the parent stops; it finishes what it has.
    - C{ENDED}: its process is gone.
    """

    STARTING = auto()
    SERVING = auto()
    RETIRING = auto()
    ENDED = auto()


TRANSITIONS: TransitionTable[WorkerState] = TransitionTable(
    {
        WorkerState.STARTING: [WorkerState.SERVING, WorkerState.RETIRING, WorkerState.ENDED],
        WorkerState.SERVING: [WorkerState.RETIRING, WorkerState.ENDED],
        WorkerState.RETIRING: [WorkerState.ENDED],
        WorkerState.ENDED: [],
    }
)
