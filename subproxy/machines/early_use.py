"""
What workers say of machines that are not declared here yet: they have read the files first, or the
parent's next program has not come so far.
"""

from __future__ import annotations

from typing import Final

from subproxy.machines.usage import MachineUse

MOST: Final = 1000
"""Machines and workers of which it is kept."""


class EarlyUse:
    """See above. A worker does not say the same again: who waits there would wait for nothing."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, int], MachineUse] = {}

    def tell(self, name: str, worker: int, use: MachineUse) -> None:
        """A worker says how it is now; what is not used at all need not be known."""
        self._told.pop((name, worker), None)
        if (use.waiting or use.instances) and len(self._told) < MOST:
            self._told[name, worker] = use

    def forget(self, worker: int) -> None:
        """A worker is gone."""
        self._told = {key: use for key, use in self._told.items() if key[1] != worker}

    def take(self) -> dict[tuple[str, int], MachineUse]:
        """All of it, by machine and worker, which is kept no longer."""
        found, self._told = self._told, {}
        return found
