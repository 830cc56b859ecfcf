"""A machine that is none: an ordinary process, for demos and tests. Nothing confines it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from subproxy.core.printable import printable
from subproxy.machines.child_process import ChildProcess, Ended
from subproxy.machines.vmm.console_file import OutputLog
from subproxy.machines.vmm.driver import (
    Launch,
    RunningVmm,
    VmmEnded,
    VmmError,
    VmmEvent,
    VmmEventKind,
)
from subproxy.signal_name import signal_name


class ProcessVmm:
    """
    Starts processes in the place of machines.

    @param port: what guests dial, which is the end of the listener's name.
    """

    def __init__(self, reactor: Any, port: int) -> None:
        self._reactor = reactor
        self._port = port

    def start(self, launch: Launch, on_event: Callable[[VmmEvent], None]) -> Deferred[RunningVmm]:
        """See L{Vmm<subproxy.machines.vmm.driver.Vmm>}."""
        machine = launch.machine
        places = {"vsock": str(launch.vsock), "listener": f"{launch.vsock}_{self._port}"}
        command = [_filled(each, places) for each in machine.command]
        try:
            console = self._console(launch)
        except OSError as error:
            return fail(VmmError(f"{printable(str(error.filename))}: {error.strerror}"))
        try:
            child = ChildProcess.spawn(
                self._reactor,
                command,
                console.pipe,
                environment={**os.environ, **machine.environment},
                user=machine.user,
            )
        except OSError as error:
            console.close()
            return fail(VmmError(f"{printable(command[0])}: {error.strerror}"))
        on_event(VmmEvent(VmmEventKind.SPAWNED))
        on_event(VmmEvent(VmmEventKind.BOOTING))
        return succeed(RunningProcess(child, console))

    def adopt(self, launch: Launch, pid: int, on_event: Callable[[VmmEvent], None]) -> RunningVmm:
        """See L{Vmm<subproxy.machines.vmm.driver.Vmm>}."""
        child = ChildProcess.adopt(self._reactor, pid)
        return RunningProcess(child, self._console(launch, resume=True))

    def _console(self, launch: Launch, *, resume: bool = False) -> OutputLog:
        """What it writes: a file that stays as small as a machine's."""
        limit = launch.machine.console
        return OutputLog(self._reactor, launch.folder, "console", limit, resume=resume)


class RunningProcess:
    """
    One of them.

    @ivar ended: fires when it has ended.
    """

    def __init__(self, child: ChildProcess, console: OutputLog) -> None:
        self._child = child
        self._console = console
        self.ended: Deferred[VmmEnded] = Deferred()
        child.ended.addCallback(self._over)

    @property
    def pid(self) -> int:
        """Which process it is."""
        return self._child.pid

    def power_off(self) -> Deferred[None]:
        """SIGTERM, which a guest takes for the power button."""
        self._child.signal(SIGTERM)
        return succeed(None)

    def freeze(self, folder: Path) -> Deferred[None]:
        """Nobody can."""
        return fail(VmmError("a process can't be frozen"))

    def kill(self) -> None:
        """SIGKILL."""
        self._child.kill()

    def _over(self, how: Ended) -> None:
        status, number = how
        if number is not None:
            reason = f"killed by {signal_name(number)}"
        else:
            reason = "ended" if status is None else f"ended with status {status}"
        self._console.close()
        self.ended.callback(VmmEnded(status, number, reason, self._console.lines.last()))


def _filled(text: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        text = text.replace(f"{{{name}}}", value)
    return text
