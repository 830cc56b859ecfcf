"""Machines and the workers of a parent: what its manager is told by these, and these by it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from subproxy.app.guest_placing import GuestPlacing
from subproxy.config.settings import Settings
from subproxy.config.sources import Effective
from subproxy.endpoints.hybrid import HybridVsockServerEndpoint
from subproxy.machines.declaration import PROCESS, Machine
from subproxy.machines.places import identity_of, instance_of_identity
from subproxy.machines.states import DRAINED, InstanceState
from subproxy.machines.usage import InstanceUse, MachineUse
from subproxy.process.inherited_sockets import InheritedSockets
from subproxy.process.startup import fail
from subproxy.workers import messages as msg
from subproxy.workers.messages import ChannelMessage
from subproxy.workers.slots import Worker

if TYPE_CHECKING:
    from subproxy.machines.manager import MachineManager
    from subproxy.machines.vmm.confinement import Confinement
    from subproxy.machines.vmm.driver import Vmm


class MachineListener:
    """
    What listens for the guest of one instance.

    @ivar where: the path of its device, as L{SocketHandoff} wants it.
    @ivar port: what listens.
    """

    def __init__(self, where: str, port: IListeningPort) -> None:
        self.where = where
        self.port: IListeningPort | None = port


class MachineHosting:
    """
    See above. Without machines it does nothing.

    @ivar manager: who keeps machines; None before there was one.
    @ivar listeners: those for instances that run, by device.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        effective: Effective,
        guests: GuestPlacing,
        greetings: Factory,
        inheritance: InheritedSockets,
    ) -> None:
        self.manager: MachineManager | None = None
        self.listeners: dict[str, MachineListener] = {}
        self._reactor = reactor
        self._settings: Settings = effective.settings
        self._machines = effective.machines
        self._left_out = effective.left_out
        self._may_come = effective.settings.machine_files is not None
        self._folder = effective.machines_folder
        self._guests = guests
        self._greetings = greetings
        self._inheritance = inheritance
        self._lock = -1
        self._confinement: Confinement | None = None

    # The life of the parent.

    def prepare(self, uid: int | None, restarted: bool) -> None:
        """
        Make the folder of machines, before privileges are shed.

        @param restarted: machines of this parent's former program may run.
        @raise SystemExit: it can't be had; standard error says why.
        """
        if self._machines or self._may_come:
            fault = self._take_folder(uid, restarted)
            if fault:
                fail(fault)

    def _take_folder(self, uid: int | None, restarted: bool) -> str:
        """Have the folder for us alone, if that is not so; why that can't be, or nothing."""
        if self._lock >= 0:
            return ""
        folder, lock = self._folder, -1
        try:
            os.makedirs(folder, 0o711, exist_ok=True)
            if uid is not None:
                os.chown(folder, uid, -1)
            lock = os.open(
                os.path.join(folder, ".lock"),
                os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
                0o600,
            )
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return f"machines: another proxy has its machines in {folder} (--machines-folder)"
        except OSError as error:
            return f"machines: {error.filename}: {error.strerror} (--machines-folder)"
        self._lock = lock
        if not restarted:
            from subproxy.machines.run_record import end_left_over

            for place, pid in end_left_over(folder):
                self._log.warn(
                    "{place}: process {pid} was left by a proxy that was killed: ended",
                    place=place,
                    pid=pid,
                )
        self._confine(restarted)
        return ""

    def _confine(self, restarted: bool) -> None:
        """Confine virtual machines from now on, and say what can't be had."""
        confined = [each for each in self._machines if each.vmm != PROCESS]
        if not confined or self._confinement is not None:
            return
        from subproxy.machines.vmm.confinement import Confinement

        self._confinement = Confinement(Path(self._folder))
        for line in self._confinement.begin(confined, resume=restarted):
            self._log.warn("machines: {line}", line=line)

    def begin(self, left: Sequence[dict[str, Any]]) -> Deferred[None]:
        """Keep machines from now on, those among them that the former program has C{left}."""
        self._tell_left_out()
        if not self._machines and not left and not self._may_come:
            return succeed(None)
        self._import_drivers()
        return Deferred.fromCoroutine(self._made().restore(left, self._machines))

    def _import_drivers(self) -> None:
        """No request that wakes a machine is to wait for imports."""
        for each in {each.vmm: each for each in self._machines}.values():
            self._driver(each)

    def _made(self) -> MachineManager:
        if self.manager is None:
            from subproxy.machines.manager import MachineManager

            starts = self._settings.machine_starts or len(os.sched_getaffinity(0))
            self.manager = MachineManager(
                *(self._reactor, self._folder, starts, self, self._driver),
                self._settings.most_in_all,
            )
        return self.manager

    def _driver(self, machine: Machine) -> Vmm:
        if machine.vmm == PROCESS:
            from subproxy.machines.vmm.process import ProcessVmm

            return ProcessVmm(self._reactor, self._settings.vsock_port)
        from subproxy.machines.vmm.driver import VmmError
        from subproxy.machines.vmm.drivers import make_driver

        assert self._confinement is not None
        try:
            return make_driver(machine.vmm, self._reactor, self._confinement)
        except ValueError as error:
            raise VmmError(str(error)) from None

    def reload(self, effective: Effective) -> None:
        """Go by what is declared now."""
        self._left_out = effective.left_out
        self._tell_left_out()
        if effective.machines == self._machines:
            return
        before, self._machines = self._machines, effective.machines
        fault = self._take_folder(None, restarted=False)
        if fault:
            # The next reload tries again.
            self._machines = before
            self._log.error("no machine is kept: {fault}", fault=fault)
            return
        self._confine(restarted=False)
        self._import_drivers()
        self._made().declare(self._machines)

    def _tell_left_out(self) -> None:
        for line in self._left_out:
            self._log.error("a machine is left out: {line}", line=line)

    def stop(self) -> Deferred[None]:
        """Stop all machines; fires when none runs."""
        return succeed(None) if self.manager is None else self.manager.stop_all()

    def pause(self) -> Deferred[Any]:
        """Start nothing more: the next program comes. Fires when nothing is being started."""
        return succeed(None) if self.manager is None else self.manager.pause()

    def go_on(self) -> None:
        """It does not come."""
        if self.manager is not None:
            self.manager.go_on()

    def data(self) -> list[dict[str, Any]]:
        """What it has to know."""
        return [] if self.manager is None else self.manager.data()

    # What workers say.

    def ready(self, worker: Worker) -> None:
        """C{worker} serves: it has to know how machines are."""
        crew = self._guests.crew
        if self.manager is None or crew is None:
            return
        now = self._reactor.seconds()
        for name, each in self.manager.machines.items():
            for index, instance in enumerate(each.supervisor.instances):
                identity = identity_of(self._folder, name, index)
                if instance.run and instance.state is not InstanceState.COLD:
                    crew.send(worker, msg.MachineStarts(identity, instance.run))
                if instance.state in DRAINED:
                    # What others were told before it came: its guest may dial again, and come here.
                    crew.ask(worker, "machine-drain", identity)
            refused = max(0.0, each.refused_until - now)
            if each.up or refused:
                crew.send(worker, msg.MachineStatus(name, each.up, refused))

    def came(self, worker: Worker, said: ChannelMessage) -> None:
        """C{worker} has said something that is about guests, or machines."""
        manager = self.manager
        if manager is None:
            self._guests.came(worker, said)
            return
        match said:
            case msg.MachineUsed():
                instances = {
                    int(index): InstanceUse(*each) for index, each in said.instances.items()
                }
                use = MachineUse(said.waiting, said.since, instances)
                manager.used(said.name, worker.serial, use)
            case msg.Subscribed():
                self._guests.came(worker, said)
                if (found := instance_of_identity(self._folder, said.identity)) is not None:
                    manager.greeted(*found)
            case msg.MachineAnswered():
                manager.answered(said.name, said.index, said.at)
            case msg.RouteServed() | msg.Left():
                identity = self._guests.table.identity_of(worker.serial, said.number)
                self._guests.came(worker, said)
                if identity is not None:
                    self._look_at(identity)
            case _:
                self._guests.came(worker, said)

    def ended(self, worker: Worker) -> None:
        """C{worker} is gone, with its guests."""
        manager = self.manager
        if manager is None:
            return
        manager.worker_gone(worker.serial)
        for name, each in list(manager.machines.items()):
            for index in range(len(each.supervisor.instances)):
                self._look_at(identity_of(self._folder, name, index))

    def _look_at(self, identity: str) -> None:
        found = instance_of_identity(self._folder, identity)
        if found is not None and self.manager is not None:
            self.manager.served(*found, self._guests.table.route_count(identity))

    # InstanceHost.

    def listen(self, device: str, user: str, run: str) -> Deferred[None]:
        """See L{InstanceHost<subproxy.machines.manager.InstanceHost>}."""
        return Deferred.fromCoroutine(self._listen(device, user, run))

    async def _listen(self, device: str, user: str, run: str) -> None:
        if device in self.listeners:
            return
        endpoint = HybridVsockServerEndpoint(
            self._reactor, device, self._settings.vsock_port, mode=0o600, owner=user or None
        )
        self._inheritance.endow(device, endpoint)
        port = await endpoint.listen(self._greetings)
        self.listeners[device] = MachineListener(device, port)
        self._tell_run(f"path:{device}", run)

    def _tell_run(self, identity: str, run: str) -> None:
        """Nobody is refused as replaced who was once an instance of this machine, and is again."""
        self._guests.table.epochs.begin(identity, run.encode())
        crew = self._guests.crew
        if crew is not None:
            crew.tell(crew.slots, msg.MachineStarts(identity, run))

    def stop_listening(self, device: str) -> Deferred[None]:
        """See L{InstanceHost<subproxy.machines.manager.InstanceHost>}."""
        return Deferred.fromCoroutine(self._stop_listening(device))

    async def _stop_listening(self, device: str) -> None:
        listener = self.listeners.pop(device, None)
        if listener is None or listener.port is None:
            return
        self._tell_run(f"path:{device}", "")
        stopped: Any = maybeDeferred(listener.port.stopListening)
        try:
            await stopped
        except OSError as error:
            self._log.warn("{device}: {why}", device=device, why=error)

    def drain(self, identity: str) -> Deferred[None]:
        """See L{InstanceHost<subproxy.machines.manager.InstanceHost>}."""
        crew = self._guests.crew
        assert crew is not None
        asked = [crew.ask(each, "machine-drain", identity) for each in crew.slots]
        return gatherResults(asked).addCallback(lambda _: None)

    def undrain(self, identity: str) -> None:
        """See L{InstanceHost<subproxy.machines.manager.InstanceHost>}."""
        crew = self._guests.crew
        assert crew is not None
        for each in crew.slots:
            crew.ask(each, "machine-undrain", identity)

    def status(self, name: str, up: bool, refused: float) -> None:
        """See L{InstanceHost<subproxy.machines.manager.InstanceHost>}."""
        crew = self._guests.crew
        assert crew is not None
        crew.tell(crew.slots, msg.MachineStatus(name, up, refused))
