"""Starts the program, says when it serves, and starts it again when it has ended."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Protocol

from guest.sidecar.process import ProgramProcess
from guest.sidecar.readiness import ReadinessProbe
from guest.sidecar.restart import RestartBackoff, RestartMode
from guest.sidecar.states import PROGRAM_TRANSITIONS, ProgramState

LEFTOVERS = 2.0
"""Seconds that what a program has left behind has to end, before it is killed."""

POLL = 0.05
"""Seconds between looks whether it has."""

REMINDER = 5.0
"""Seconds until it is said that a program runs and does not listen; each next wait is doubled."""

TAKEN = 1
"""What may be had later: its address, or what the system has too little of."""
NOT_EXECUTABLE = 126
NOT_FOUND = 127

_SIGNALED = {128 + number: number.name for number in signal.Signals}
"""By a shell's status, the signal that it stands for; programs end by others above 128, too."""

Spawn = Callable[[Callable[[int], object]], ProgramProcess]


class ProgramObserver(Protocol):
    """Who is told of the program."""

    def serving(self) -> None:
        """It takes requests now."""

    def down(self) -> None:
        """It takes none any more."""

    def say(self, text: str) -> None:
        """One line for a person who follows along."""

    def warn(self, text: str) -> None:
        """One line for a person who should know."""


class ProgramSupervisor:
    """
    Keeps one program running. See L{ProgramState}.

    @ivar state: what it does now.
    @ivar mode: after which ends it is started again.
    @ivar ended: the status to exit with, when it will not be started again.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        spawn: Spawn | None,
        probe: ReadinessProbe,
        observer: ProgramObserver,
        *,
        name: str,
        mode: RestartMode = RestartMode.ALWAYS,
        backoff: RestartBackoff | None = None,
        grace: float = 10.0,
    ) -> None:
        """
        Begin; L{start} starts it.

        @param spawn: starts a run; None: the program is somebody else's, and only asked.
        @param name: of the program, for people.
        @param grace: how many seconds it has to end when it was asked to.
        """
        self.state = ProgramState.WAITING
        self.ended: asyncio.Future[int] = loop.create_future()
        self._loop = loop
        self._spawn = spawn
        self._probe = probe
        self._observer = observer
        self._name = name
        self.mode = mode
        self._backoff = backoff or RestartBackoff()
        self._grace = grace
        self._process: ProgramProcess | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reminder: asyncio.TimerHandle | None = None
        self._since: float | None = None
        self._served = 0.0
        self._runs = 0
        self._status = 0

    def start(self) -> None:
        """Start the program."""
        self._timer = None
        self._move(ProgramState.STARTING)
        self._served = 0.0
        self._task = self._loop.create_task(self._begin())

    def unreachable(self) -> None:
        """The program has refused a connection: it is not asked before it takes one again."""
        if self.state is ProgramState.SERVING:
            self._down()
            self._observer.warn(f"{self._name} takes no connections any more")
            self._move(ProgramState.STARTING)
            self._task = self._loop.create_task(self._await_ready())

    def signal(self, number: int) -> None:
        """Pass a signal on to the program, if it runs."""
        if self._process is not None:
            self._process.signal(number)

    def stop(self, number: int) -> None:
        """
        Have it end, for good.

        @param number: the signal that asks it to, as all of its group; at a second call it is
            killed.
        """
        if self.state is ProgramState.STOPPING:
            if self._process is not None:
                self._process.signal_all(signal.SIGKILL)
            return
        if self.state is ProgramState.ENDED:
            return
        self._cancel()
        self._down()
        process = self._process
        self._move(ProgramState.STOPPING)
        if process is None:
            self._end(self._status)
            return
        process.signal_all(number)
        # One that is stopped takes its signals when it goes on.
        process.signal_all(signal.SIGCONT)
        self._timer = self._loop.call_later(self._grace, self._kill, process)

    def _move(self, state: ProgramState) -> None:
        if state not in PROGRAM_TRANSITIONS[self.state]:
            raise AssertionError(f"{self.state} to {state}")
        self.state = state

    # A run begins.

    async def _begin(self) -> None:
        if self._spawn is not None:
            if await self._probe.taken():
                self._failed_to_start(f"something listens at {self._probe.address} already", TAKEN)
                return
            try:
                self._process = self._spawn(self._exited)
            except FileNotFoundError as error:
                self._failed_to_start(f"{error.filename}: not found", NOT_FOUND)
                return
            except OSError as error:
                if error.filename is None:
                    # It was not even tried: too many processes, or descriptors, or no memory.
                    self._failed_to_start(error.strerror or str(error), TAKEN)
                else:
                    self._failed_to_start(f"{error.filename}: {error.strerror}", NOT_EXECUTABLE)
                return
            self._runs += 1
            self._observer.say(f"{self._name} started, process {self._process.pid}")
        await self._await_ready()

    def _failed_to_start(self, why: str, status: int) -> None:
        self._task = None
        self._observer.warn(f"{self._name} can't be started: {why}")
        if not self._runs or status != TAKEN:
            self._end(status)
        else:
            self._again()

    async def _await_ready(self) -> None:
        self._remind(self._loop.time(), REMINDER)
        await self._probe.ready()
        self._task = None
        self._quiet()
        self._since = self._loop.time()
        self._move(ProgramState.SERVING)
        self._observer.serving()

    def _remind(self, began: float, interval: float) -> None:
        if self._reminder is not None:
            waited = self._loop.time() - began
            runs = "runs, but " if self._process is not None else ""
            text = f"{self._name} {runs}is not ready after {waited:.0f} s"
            self._observer.warn(
                f"{text}: {self._probe.last or 'it has not answered'}{self._hint()}"
            )
        self._reminder = self._loop.call_later(interval, self._remind, began, 2 * interval)

    def _hint(self) -> str:
        """Where it listens, if it does so elsewhere."""
        others = self._process.listeners() if self._process is not None else []
        if not others or str(self._probe.address) in others:
            return ""
        return f"; it listens at {', '.join(others)}: is that what --to should say?"

    # A run ends.

    def _exited(self, status: int) -> None:
        stopping = self.state is ProgramState.STOPPING
        self._cancel()
        if not stopping:
            self._down()
            name = _SIGNALED.get(status)
            how = f"ended by {name}" if name else "ended"
            self._observer.warn(f"{self._name} {how}, status {status}")
        self._status = status
        process = self._process
        if process is None:
            raise AssertionError("what did not run has ended")
        if not stopping:
            self._move(ProgramState.WAITING)
            process.signal_all(signal.SIGTERM)
        self._clear(process, self._loop.time() + LEFTOVERS)

    def _clear(self, process: ProgramProcess, until: float) -> None:
        """Wait until nothing of its group is left, then go on."""
        if process.signal_all(0):
            if self._loop.time() >= until:
                process.signal_all(signal.SIGKILL)
            self._loop.call_later(POLL, self._clear, process, until)
            return
        self._process = None
        if self.state is ProgramState.STOPPING or not self.mode.restarts(self._status):
            self._end(self._status)
        else:
            self._again()

    def _again(self) -> None:
        delay = self._backoff.ended(self._served)
        if self.state is not ProgramState.WAITING:
            self._move(ProgramState.WAITING)
        self._observer.say(f"{self._name} is started again in {delay:g} s")
        self._timer = self._loop.call_later(delay, self.start)

    def _kill(self, process: ProgramProcess) -> None:
        self._observer.warn(f"{self._name} has not ended within {self._grace:g} s: killed")
        process.signal_all(signal.SIGKILL)

    def _down(self) -> None:
        if self._since is not None:
            self._served = self._loop.time() - self._since
            self._since = None
            self._observer.down()

    def _cancel(self) -> None:
        self._quiet()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _quiet(self) -> None:
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None

    def _end(self, status: int) -> None:
        self._cancel()
        self._move(ProgramState.ENDED)
        if not self.ended.done():
            self.ended.set_result(status)
