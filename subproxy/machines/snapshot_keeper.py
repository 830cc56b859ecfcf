"""
Finds the snapshot that a start can go on from, and has an instance frozen to one: the shell round
L{SnapshotPlan<subproxy.machines.snapshot_plan.SnapshotPlan>} and L{SnapshotStore}.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from subproxy.machines.declaration import Machine
from subproxy.machines.host_facts import HostLook
from subproxy.machines.snapshot_binding import StartFacts
from subproxy.machines.snapshot_store import SnapshotError, SnapshotStore
from subproxy.machines.vmm.driver import RunningVmm
from subproxy.machines.vmm.snapshot_support import refusal

Look = Callable[[Machine], Awaitable[StartFacts]]
"""What a machine would be started of; raises C{OSError}."""


def looking() -> Look:
    """Looks at files and programs in a thread: it takes some 30 ms when they are new."""
    look = HostLook()
    return lambda machine: deferToThread(look.facts, machine)


class SnapshotKeeper:
    """
    See above.

    @ivar store: its files.
    """

    _log = Logger()

    def __init__(self, store: SnapshotStore, look: Look | None = None) -> None:
        self.store = store
        self._look = look or looking()

    async def before_start(self, machine: Machine) -> tuple[str, Path | None]:
        """
        What a machine is started of.

        @return: a fingerprint of that, which is empty if it can't be frozen later; and the snapshot
            that it can go on from, if there is one.
        """
        try:
            facts = await self._look(machine)
        except OSError as error:
            self._say(machine, f"{error.filename}: {error.strerror}")
            return "", None
        if reason := refusal(machine.vmm, facts.version):
            self._say(machine, reason)
            return "", None
        fingerprint = facts.fingerprint(machine)
        try:
            return fingerprint, self.store.usable(machine, fingerprint)
        except SnapshotError as error:
            self._log.debug("machine {name} boots: {error}", name=machine.name, error=str(error))
            self.store.remove(machine.name, but=self.store.unfinished(machine.name))
            return fingerprint, None

    async def freeze(self, machine: Machine, fingerprint: str, running: RunningVmm) -> int:
        """
        Write a snapshot.

        @return: its bytes.
        @raise SnapshotError: it can't be written; nothing is left of it.
        @raise VmmError: likewise.
        """
        place = self.store.make_room(machine)
        await running.freeze(place)
        self.store.keep(machine, fingerprint)
        return self.store.size(machine.name)

    def _say(self, machine: Machine, reason: str) -> None:
        self._log.warn(
            "machine {name}: no snapshot is made of it: {reason}",
            name=machine.name,
            reason=reason,
        )
