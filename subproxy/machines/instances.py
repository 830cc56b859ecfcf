"""All instances that a machine may have, and how many of them are in which state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from subproxy.machines.instance import Instance
from subproxy.machines.states import COMING, InstanceState

ENDING: Final = frozenset(
    {InstanceState.FREEZING, InstanceState.POWERING_OFF, InstanceState.KILLED}
)
"""The states of an instance that is not used again."""

_AT_REST = frozenset({InstanceState.COLD, InstanceState.UP})


class Instances:
    """Those of one machine, by index; there are never fewer of them than there were."""

    def __init__(self, most: int) -> None:
        """
        None of them runs.

        @param most: how many the machine may have.
        """
        self._all = [Instance(index) for index in range(most)]

    def __iter__(self) -> Iterator[Instance]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, index: int) -> Instance:
        return self._all[index]

    def grow(self, most: int) -> None:
        """The machine may have so many now."""
        self._all += [Instance(index) for index in range(len(self._all), most)]

    def adopt(self, instance: Instance) -> None:
        """Go on with one that the parent's former program has started."""
        self.grow(instance.index + 1)
        self._all[instance.index] = instance

    @property
    def up(self) -> int:
        """How many are up."""
        return sum(each.state is InstanceState.UP for each in self._all)

    @property
    def coming(self) -> int:
        """How many are on their way up."""
        return sum(each.state in COMING for each in self._all)

    @property
    def running(self) -> int:
        """Of how many there is something left."""
        return sum(each.state is not InstanceState.COLD for each in self._all)

    @property
    def ending(self) -> int:
        """How many of those will not be used again."""
        return sum(
            each.state in ENDING or (each.state is InstanceState.DRAINING and bool(each.ending))
            for each in self._all
        )

    @property
    def cold(self) -> bool:
        """Whether nothing runs."""
        return not self.running

    @property
    def at_rest(self) -> bool:
        """Whether each is up or cold: none is on its way."""
        return all(each.state in _AT_REST for each in self._all)

    def all_up(self) -> list[Instance]:
        """Those that are up, by index."""
        return [each for each in self._all if each.state is InstanceState.UP]

    def next_cold(self, most: int) -> Instance | None:
        """The first of C{most} that could be started."""
        return next((i for i in self._all[:most] if i.state is InstanceState.COLD), None)

    def unanswered(self) -> int:
        """One that is up and has answered nobody yet; -1: there is none."""
        return next((each.index for each in self.all_up() if each.wake.answered is None), -1)
