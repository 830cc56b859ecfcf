"""A machine that is none: an ordinary process, for demos and tests. Nothing confines it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM, Signals
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, succeed

from subproxy.core.printable import printable
from subproxy.machines.child_process import ChildProcess, Ended
from subproxy.machines.vmm.driver import (
    Launch,
    RunningVmm,
    VmmEnded,
    VmmError,
    VmmEvent,
    VmmEventKind,
)

LAST_LINES: Final = 20
LAST_BYTES: Final = 4096
"""Of the console, what is told of a process that has ended."""


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
        console = launch.folder / "console.log"
        try:
            if console.exists():
                os.replace(console, f"{console}.1")
            child = ChildProcess.spawn(
                self._reactor,
                command,
                console,
                environment={**os.environ, **machine.environment},
                user=machine.user,
            )
        except OSError as error:
            return fail(VmmError(f"{printable(command[0])}: {error.strerror}"))
        on_event(VmmEvent(VmmEventKind.SPAWNED))
        on_event(VmmEvent(VmmEventKind.BOOTING))
        return succeed(RunningProcess(child, console))

    def adopt(self, launch: Launch, pid: int, on_event: Callable[[VmmEvent], None]) -> RunningVmm:
        """See L{Vmm<subproxy.machines.vmm.driver.Vmm>}."""
        return RunningProcess(ChildProcess.adopt(self._reactor, pid), launch.folder / "console.log")


class RunningProcess:
    """
    One of them.

    @ivar ended: fires when it has ended.
    """

    def __init__(self, child: ChildProcess, console: Path) -> None:
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

    def kill(self) -> None:
        """SIGKILL."""
        self._child.kill()

    def _over(self, how: Ended) -> None:
        status, number = how
        if number is not None:
            reason = f"killed by {Signals(number).name}"
        else:
            reason = "ended" if status is None else f"ended with status {status}"
        self.ended.callback(VmmEnded(status, number, reason, last_lines(self._console)))


def last_lines(console: Path) -> tuple[str, ...]:
    """The end of a console, made printable."""
    try:
        with open(console, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LAST_BYTES))
            data = file.read()
    except OSError:
        return ()
    return tuple(printable(line) for line in data.splitlines()[-LAST_LINES:])


def _filled(text: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        text = text.replace(f"{{{name}}}", value)
    return text
