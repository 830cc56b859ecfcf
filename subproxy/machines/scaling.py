"""
How many instances of one machine there should be: which is wanted next, and which may end.

Pure, and it changes nothing: L{subproxy.machines.supervisor} goes by what it says.
"""

from __future__ import annotations

from subproxy.machines.declaration import Machine
from subproxy.machines.instance import Instance
from subproxy.machines.instances import Instances
from subproxy.machines.usage import UseTable


class Scaling:
    """That of one machine; what is declared of it, it is told each time."""

    def __init__(self, instances: Instances, use: UseTable) -> None:
        self._instances = instances
        self._use = use
        self._crowded = 0.0

    def scales_at(self, machine: Machine, since: float) -> float:
        """
        When another instance is wanted, beside those that are up, for who waits.

        @param since: since when somebody waits. Who waited for one that is up now did not wait
            longer than that is up.
        """
        up = (each.registered or 0.0 for each in self._instances.all_up())
        return max([since, *up]) + machine.scale_after

    def stale(self) -> Instance | None:
        """One to be replaced since it runs by what is no longer declared; one at a time."""
        if not self._instances.at_rest:
            return None
        return next((each for each in self._instances.all_up() if each.stale), None)

    def surplus(self, machine: Machine, now: float) -> Instance | None:
        """The last of several, if the others would have been enough for as long as C{idle}."""
        up = self._instances.all_up()
        idle = machine.idle
        if len(up) < 2 or idle is None or self._use.waiting or self._crowds(up):
            self._crowded = now
        elif now >= self._crowded + idle:
            self._crowded = now
            return up[-1]
        return None

    def _crowds(self, up: list[Instance]) -> bool:
        """Whether what they do is more than all but the last could."""
        uses = [self._use.instance(each.index) for each in up]
        return sum(each.busy for each in uses) > sum(each.capacity for each in uses[:-1])

    def next_surplus(self, machine: Machine) -> float | None:
        """When L{surplus} may find one, if nothing happens; None: never."""
        if self._instances.up < 2 or machine.idle is None:
            return None
        return self._crowded + machine.idle

    def rested(self, since: float) -> list[tuple[float, int]]:
        """Instances that nobody has used since then: when each was used last, and which it is."""
        if self._use.waiting:
            return []
        return [
            (each.used, each.index)
            for each in self._instances.all_up()
            if not self._use.instance(each.index).busy and each.used <= since
        ]
