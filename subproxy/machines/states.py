"""The life of one instance of a machine, as its manager sees it."""

from __future__ import annotations

from enum import Enum, auto

from subproxy.core.states import TransitionTable


class InstanceState(Enum):
    """
    Where an instance is in its life.

    - C{COLD}: nothing of it runs.
    - C{STARTING}: its VMM is being started.
    - C{BOOTING}: its processors run; it has not registered yet.
    - C{UP}: it has registered what it serves.
    - C{DRAINING}: it is asked nothing new, and finishes what it has.
    - C{FREEZING}: a snapshot of it is written; it ends with that.
    - C{POWERING_OFF}: it was told to end.
    - C{KILLED}: its processes were ended; they are not gone yet.
    """

    COLD = auto()
    STARTING = auto()
    BOOTING = auto()
    UP = auto()
    DRAINING = auto()
    FREEZING = auto()
    POWERING_OFF = auto()
    KILLED = auto()


TRANSITIONS: TransitionTable[InstanceState] = TransitionTable(
    {
        InstanceState.COLD: [InstanceState.STARTING],
        # What registers before its VMM has said that it runs is up all the same.
        InstanceState.STARTING: [
            InstanceState.BOOTING,
            InstanceState.UP,
            InstanceState.KILLED,
            InstanceState.COLD,
        ],
        InstanceState.BOOTING: [
            InstanceState.UP,
            InstanceState.POWERING_OFF,
            InstanceState.KILLED,
            InstanceState.COLD,
        ],
        InstanceState.UP: [
            InstanceState.DRAINING,
            InstanceState.KILLED,
            InstanceState.COLD,
        ],
        InstanceState.DRAINING: [
            InstanceState.UP,
            InstanceState.FREEZING,
            InstanceState.POWERING_OFF,
            InstanceState.KILLED,
            InstanceState.COLD,
        ],
        # What can't be frozen ends as if it had not been tried.
        InstanceState.FREEZING: [
            InstanceState.POWERING_OFF,
            InstanceState.KILLED,
            InstanceState.COLD,
        ],
        InstanceState.POWERING_OFF: [InstanceState.KILLED, InstanceState.COLD],
        InstanceState.KILLED: [InstanceState.COLD],
    }
)

COMING = frozenset({InstanceState.STARTING, InstanceState.BOOTING})
"""On its way to be up."""

DRAINED = frozenset({InstanceState.DRAINING, InstanceState.FREEZING, InstanceState.POWERING_OFF})
"""What its guest is given would end with it: it is asked nothing new."""
