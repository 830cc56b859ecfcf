"""What is asked of a machine, as the workers tell it: who waits, and what its instances do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InstanceUse:
    """
    What is asked of one instance.

    @ivar busy: requests and tunnels under way.
    @ivar asked: requests that it was ever given: another number means that it was used.
    @ivar capacity: requests that it takes at once.
    """

    busy: int = 0
    asked: int = 0
    capacity: int = 0


@dataclass(frozen=True, slots=True)
class MachineUse:
    """
    What one worker knows of a machine.

    @ivar waiting: requests that wait for it.
    @ivar since: when the first of these came; of no meaning without one.
    @ivar instances: by index.
    """

    waiting: int = 0
    since: float = 0.0
    instances: Mapping[int, InstanceUse] = field(default_factory=dict)


class UseTable:
    """What all workers know of one machine, by the workers' serials."""

    def __init__(self) -> None:
        self._told: dict[int, MachineUse] = {}

    def tell(self, worker: int, use: MachineUse) -> None:
        """A worker says how it is now."""
        self._told[worker] = use

    def forget(self, worker: int) -> None:
        """A worker is gone, and with it all that waited there."""
        self._told.pop(worker, None)

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return sum(each.waiting for each in self._told.values())

    @property
    def waiting_since(self) -> float | None:
        """When the first of them came; None if nobody waits."""
        return min((each.since for each in self._told.values() if each.waiting), default=None)

    def instance(self, index: int) -> InstanceUse:
        """What is asked of one instance, by all workers."""
        found = [each.instances.get(index, InstanceUse()) for each in self._told.values()]
        return InstanceUse(
            sum(each.busy for each in found),
            sum(each.asked for each in found),
            sum(each.capacity for each in found),
        )
