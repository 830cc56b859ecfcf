"""One machine, and what was started of it."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from subproxy.machines.declaration import Machine
from subproxy.machines.supervisor import Supervisor
from subproxy.machines.vmm.driver import RunningVmm


class ManagedMachine:
    """
    One machine.

    @ivar running: what was started, by the instance's index.
    @ivar starting: what is being started.
    @ivar look: when its supervisor is asked again.
    @ivar coming: how many instances were on their way at the last look.
    @ivar instances: how many instances there were then.
    @ivar up: what workers were told: whether an instance is up.
    @ivar refused_until: likewise, until when nobody is to wait for it.
    @ivar made: it is of a template; it is forgotten when it was not used for long.
    @ivar forget: when that is.
    @ivar removed: it is no longer declared, and goes when it has ended.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.running: dict[int, RunningVmm] = {}
        self.starting: dict[int, Deferred[RunningVmm]] = {}
        self.look: IDelayedCall | None = None
        self.coming = 0
        self.instances = 0
        self.up = False
        self.refused_until = 0.0
        self.made = False
        self.forget: IDelayedCall | None = None
        self.removed = False

    @property
    def machine(self) -> Machine:
        """What is declared of it."""
        return self.supervisor.machine
