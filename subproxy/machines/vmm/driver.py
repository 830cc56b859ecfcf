"""What a driver of a virtual machine monitor (VMM) is asked, and what it tells.

A driver starts one machine a call, and passes on what its VMM tells. It decides nothing: how long
a start may take, whether a machine is started again, and when power-off has taken too long is the
manager's business.

Whether an application is up is told by its registration alone. A VMM ends with status 0 after
a power-off, a panic and a crash of its virtual processor alike, so an end has a reason where one is
known, and the last lines of the guest's console.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, Protocol

from twisted.internet.defer import Deferred

from subproxy.machines.declaration import Machine

GUEST_CID: Final = 3
"""The guest's context id. Each machine has a device of its own, so all may have the same."""


class VmmError(Exception):
    """A machine can't be started or told something. The text says why, for an operator's log.

    @ivar console: the last lines of the guest's console, made printable; often none.
    """

    def __init__(self, reason: str, console: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.console = console


@dataclass(frozen=True)
class Launch:
    """
    What is started: one instance of a machine.

    @ivar machine: what is declared of it.
    @ivar index: which of its instances, from 0.
    @ivar folder: a folder of its own, which is there: for sockets, console and files. What a VMM
        leaves behind of an earlier run of this instance is removed from it.
    @ivar vsock: the path of its virtual socket device. The proxy listens on C{PATH_PORT} already,
        and that socket is never touched; a leftover at C{PATH} itself is removed.
    @ivar snapshot: a folder that an instance of this machine was frozen to, which this one goes on
        from; C{None}: it boots.
    """

    machine: Machine
    index: int
    folder: Path
    vsock: Path
    snapshot: Path | None = None


class VmmEventKind(Enum):
    """
    What happens in a machine's life.

    - C{SPAWNED}: the VMM's process runs.
    - C{BOOTING}: its virtual processors run: the kernel is started.
    - C{RESTORED}: they run, and go on from a snapshot.
    - C{INIT}: its kernel has started its init, by what that says on the console. Of images of
      others it does not come.
    - C{REBOOTED}: the machine has begun anew within the same process, which cloud-hypervisor does
      after a panic, too. Nothing that the guest had is left.
    - C{PANICKED}: the guest's kernel has said so, or its VMM.
    - C{SHUTDOWN}: it is over; the reason is the VMM's word. The process ends soon, as a rule.
    """

    SPAWNED = "spawned"
    BOOTING = "booting"
    RESTORED = "restored"
    INIT = "init"
    REBOOTED = "rebooted"
    PANICKED = "panicked"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True)
class VmmEvent:
    """Something happened, for a reason where one was told (printable)."""

    kind: VmmEventKind
    reason: str = ""


@dataclass(frozen=True)
class VmmEnded:
    """
    No process of this machine is left.

    @ivar status: the exit status of the process that ended first, mostly the VMM; C{None} if
        a signal has ended it, or nobody knows.
    @ivar signal: the number of that signal, or C{None}.
    @ivar reason: what is known of why, in a few words: printable, never empty.
    @ivar console: the last lines of the guest's console, made printable.
    """

    status: int | None
    signal: int | None
    reason: str
    console: tuple[str, ...]


class RunningVmm(Protocol):
    """A machine that was started. Its methods can be called at any time, also after its end."""

    @property
    def pid(self) -> int:
        """The process id of its VMM."""

    @property
    def ended(self) -> Deferred[VmmEnded]:
        """Fires once, when no process of it is left and its sockets are removed; never fails.

        It is one Deferred: who adds a callback returns what it was given.
        """

    def power_off(self) -> Deferred[None]:
        """
        Press the power button: the guest is asked to end.

        Fires when the VMM has taken it, which says nothing of the guest: wait for C{ended}, and
        C{kill} when that takes too long. Fires at once if it has ended.

        Fails with L{VmmError}: the VMM did not take it.
        """

    def freeze(self, folder: Path) -> Deferred[None]:
        """
        Write all that it is to files.

        Fires when they are written; it stands still then, and is to be killed. Fails with
        L{VmmError}: it can't be. Then it runs on, or has been killed where its VMM can't have it
        run on (L{subproxy.machines.vmm.snapshot_support}).

        @param folder: an empty folder that its VMM may write to.
        """

    def kill(self) -> None:
        """End its processes at once; C{ended} fires afterwards."""


class Vmm(Protocol):
    """Starts machines with one kind of VMM. It keeps nothing of those that it has started."""

    def start(self, launch: Launch, on_event: Callable[[VmmEvent], None]) -> Deferred[RunningVmm]:
        """
        Start a machine.

        Fires when its processors were told to run. To cancel it kills what was started; it
        then fails with C{CancelledError} when nothing is left.

        Fails with L{VmmError}: it can't be started (a file that is not there, no such program, a
        VMM that ended by itself); nothing is left of it.

        @param on_event: called with each event, in order, from C{SPAWNED} on; never after
            C{ended} has fired.
        """

    def adopt(self, launch: Launch, pid: int, on_event: Callable[[VmmEvent], None]) -> RunningVmm:
        """
        Take over a machine that this process has started before it executed itself anew.

        Its processes are children of ours still. If one of them is gone by now, C{ended} fires
        soon. Events of the time between are lost.

        @param launch: as it was started.
        @param pid: L{RunningVmm.pid}.
        """
