"""The driver of VMMs that have an API: cloud-hypervisor and Firecracker."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.task import deferLater

from subproxy.machines.vmm.console_file import ConsolePipe
from subproxy.machines.vmm.driver import Launch, RunningVmm, VmmError, VmmEvent, VmmEventKind
from subproxy.machines.vmm.http_api import TIME_LIMIT, ApiCall, HttpApi
from subproxy.machines.vmm.machine_run import PATIENCE, POLL, MachineRun, ProcessStarter
from subproxy.machines.vmm.process_endpoint import ProcessEndpoint

EVENTS: Final = 3
"""The descriptor that the VMM has for its events."""


class EventReader(Protocol):
    """Reads what a VMM writes of events."""

    def feed(self, data: bytes) -> Sequence[VmmEvent]:
        """The events that are complete with this."""


class ApiDialect(Protocol):
    """What one VMM is asked, and how it answers: all of it is pure."""

    @property
    def program(self) -> str:
        """Its name."""

    @property
    def ping(self) -> str:
        """A path that is answered as soon as it listens."""

    @property
    def power_off(self) -> ApiCall:
        """What asks the guest to power off."""

    @property
    def meanings(self) -> Mapping[int, str]:
        """What its exit statuses mean."""

    def command(self, socket: Path, events: int) -> list[str]:
        """Its command line: where it listens, and the descriptor for its events."""

    def calls(self, launch: Launch) -> list[ApiCall]:
        """
        What starts a machine.

        @raise VmmError: the machine can't be had with this VMM.
        """

    def restore(self, launch: Launch) -> list[ApiCall]:
        """
        What has a machine go on from C{launch.snapshot}, with its device at C{launch.vsock}.

        @raise VmmError: that snapshot is none.
        """

    def freeze(self, folder: Path) -> list[ApiCall]:
        """What pauses a machine, then what writes a snapshot of it."""

    @property
    def resume(self) -> ApiCall | None:
        """What lets one run on that was paused, and not frozen; C{None}: that can't be."""

    def explain(self, body: bytes) -> str:
        """What the body of a refusal says, for a person."""

    def events(self) -> EventReader:
        """What reads its events."""


class ApiVmm:
    """
    Starts machines with a VMM that has an API: a L{Vmm<subproxy.machines.vmm.driver.Vmm>}.

    In a machine's folder it has C{api.sock}, C{console.log}, and C{<program>.log}.

    @param starter: starts processes.
    @param dialect: of the VMM.
    """

    def __init__(self, reactor: Any, starter: ProcessStarter, dialect: ApiDialect) -> None:
        self._reactor = reactor
        self._starter = starter
        self._dialect = dialect

    def start(self, launch: Launch, on_event: Callable[[VmmEvent], None]) -> Deferred[RunningVmm]:
        """As in L{Vmm<subproxy.machines.vmm.driver.Vmm>}."""
        return Deferred.fromCoroutine(self._start(launch, on_event))

    def adopt(self, launch: Launch, pid: int, on_event: Callable[[VmmEvent], None]) -> RunningVmm:
        """As in L{Vmm<subproxy.machines.vmm.driver.Vmm>}."""
        run = self._run(launch, on_event, resume=True)
        self._listen(run)
        self._connect(run)
        run.adopt(self._dialect.program, pid, {})
        return run

    async def _start(self, launch: Launch, on_event: Callable[[VmmEvent], None]) -> RunningVmm:
        run = self._run(launch, on_event)
        return await run.bring_up(self._bring_up(run))

    async def _bring_up(self, run: MachineRun) -> None:
        dialect = self._dialect
        self._listen(run)
        restores = run.launch.snapshot is not None
        calls = dialect.restore(run.launch) if restores else dialect.calls(run.launch)
        api = self._connect(run)
        command = dialect.command(_socket(run.launch), EVENTS)
        events = os.open(_events(run.launch), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            run.spawn(dialect.program, command, main=True, descriptors={EVENTS: events})
        finally:
            os.close(events)
        await self._answers(run, api)
        for call in calls:
            await run.wait(api.ask(call))
        run.tell(VmmEventKind.RESTORED if restores else VmmEventKind.BOOTING)

    def _run(
        self, launch: Launch, on_event: Callable[[VmmEvent], None], *, resume: bool = False
    ) -> MachineRun:
        run = MachineRun(self._reactor, self._starter, launch, on_event, resume=resume)
        run.meanings = self._dialect.meanings
        return run

    def _listen(self, run: MachineRun) -> None:
        """Hear its events, the last ones before its end included."""
        run.own(run.launch.vsock, _socket(run.launch))
        reader = self._dialect.events()
        path = _events(run.launch)

        def take(data: bytes) -> None:
            for event in reader.feed(data):
                run.tell(event.kind, event.reason)

        pipe = ConsolePipe(self._reactor, path, take)

        def close() -> None:
            pipe.close()
            path.unlink(missing_ok=True)
            shutil.rmtree(restored_from(run.launch), ignore_errors=True)

        run.close_with(close)

    def _connect(self, run: MachineRun) -> HttpApi:
        place = _socket(run.launch)
        endpoint = ProcessEndpoint(self._reactor, place, lambda: run.pid, TIME_LIMIT)
        api = HttpApi(self._reactor, endpoint, self._dialect.explain)
        run.press = lambda: _pressed(api.ask(self._dialect.power_off))
        run.write_to = lambda folder: self._write(run, api, folder)
        return api

    async def _write(self, run: MachineRun, api: HttpApi, folder: Path) -> None:
        pause, *others = self._dialect.freeze(folder)
        await run.wait(api.ask(pause))
        try:
            for call in others:
                await run.wait(api.ask(call))
        except VmmError as error:
            resume = self._dialect.resume
            if resume is None:
                run.kill(f"it was paused, and could not be frozen: {error.reason}")
            else:
                await run.wait(api.ask(resume))
            raise

    async def _answers(self, run: MachineRun, api: HttpApi) -> None:
        """
        Wait until it answers. Its socket is there an instant before it listens.

        @raise VmmError: it doesn't, after L{PATIENCE}.
        """
        await run.appears(_socket(run.launch))
        limit = self._reactor.seconds() + PATIENCE
        while True:
            try:
                await run.wait(api.ask(ApiCall("GET", self._dialect.ping)))
                return
            except ConnectError as error:
                if self._reactor.seconds() > limit:
                    raise VmmError(f"{self._dialect.program} does not listen: {error}") from None
            await run.wait(deferLater(self._reactor, POLL))


def restored_from(launch: Launch) -> Path:
    """
    A folder for what a VMM needs of a snapshot besides it, while it goes on from that. It stands
    beside that of the instance, where its VMM can put nothing in its place.
    """
    return launch.folder.with_name(f"{launch.folder.name}.restored")


def _socket(launch: Launch) -> Path:
    return launch.folder / "api.sock"


def _events(launch: Launch) -> Path:
    return launch.folder / "events.pipe"


def _pressed(asked: Deferred[bytes]) -> Deferred[None]:
    def refused(failure: Any) -> None:
        failure.trap(Exception)
        if failure.check(VmmError):
            failure.raiseException()
        raise VmmError(failure.getErrorMessage() or str(failure.type))

    return asked.addCallbacks(lambda _: None, refused)
