"""What is to be done with a machine: the decisions of L{subproxy.machines.supervisor}."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StartInstance:
    """Start that instance."""

    index: int


@dataclass(frozen=True, slots=True)
class DrainInstance:
    """Give that instance nothing new, and say when all workers know (C{Supervisor.drain_told})."""

    index: int


@dataclass(frozen=True, slots=True)
class UndrainInstance:
    """Use that instance again."""

    index: int


@dataclass(frozen=True, slots=True)
class FreezeInstance:
    """Write a snapshot of that instance, then end it."""

    index: int


@dataclass(frozen=True, slots=True)
class DropSnapshot:
    """The snapshot is no good, for a reason: remove it."""

    reason: str


@dataclass(frozen=True, slots=True)
class PowerOffInstance:
    """Tell that instance to end."""

    index: int


@dataclass(frozen=True, slots=True)
class KillInstance:
    """End that instance, for a reason."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class RefuseRequests:
    """Nobody is to wait for the machine for so many seconds, for a reason."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class NoteFailure:
    """An instance has failed, for the log: the next attempt is in so many seconds."""

    index: int
    reason: str
    seconds: float


MachineDecision = (
    StartInstance
    | DrainInstance
    | UndrainInstance
    | FreezeInstance
    | DropSnapshot
    | PowerOffInstance
    | KillInstance
    | RefuseRequests
    | NoteFailure
)
