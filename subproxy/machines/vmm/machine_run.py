"""One machine that runs: its processes, their output, and why it has ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.core.printable import printable
from subproxy.core.states import TransitionTable
from subproxy.machines.vmm.console_file import OutputLog
from subproxy.machines.vmm.driver import (
    Launch,
    RunningVmm,
    VmmEnded,
    VmmError,
    VmmEvent,
    VmmEventKind,
)
from subproxy.machines.vmm.end_reason import ProcessEnd, end_reason
from subproxy.machines.vmm.stale_socket import make_way

T = TypeVar("T")

POLL: Final = 0.01
"""Seconds between two looks at whether a socket is there."""

PATIENCE: Final = 10.0
"""Seconds that a program has to make its socket."""

LAST_WORDS: Final = 1.0
"""Seconds that a VMM has to end by itself when it has closed its connection to us, and that its
connection has to close when it has ended: the reason is what it says then."""

LOG_LIMIT: Final = 1 << 16
"""Bytes of the file of what a VMM itself writes."""


class Child(Protocol):
    """A process of ours."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def ended(self) -> Deferred[tuple[int | None, int | None]]:
        """Fires with its exit status, or the signal that has ended it; never fails."""

    def kill(self) -> None:
        """Send it SIGKILL, if it has not ended."""


class ProcessStarter(Protocol):
    """Starts processes: for each machine confined as can be had here."""

    def admit(self, launch: Launch) -> None:
        """
        Before the first process of a machine.

        @raise VmmError: it can't be confined.
        """

    def spawn(
        self,
        launch: Launch,
        name: str,
        command: list[str],
        output: Path,
        errors: Path,
        descriptors: Mapping[int, int],
    ) -> Child:
        """
        Start a program.

        @param name: which of the machine's processes it is.
        @param output: a file or pipe that becomes its standard output.
        @param errors: one for its standard error.
        @param descriptors: further descriptors: its number, and ours.
        @raise OSError: it can't be started.
        @raise VmmError: it can't be confined.
        """

    def adopt(self, pid: int) -> Child:
        """
        A child that this process has started before it executed itself anew.

        @raise OSError: there is none.
        """

    def helpers(self, argument: str) -> list[int]:
        """The processes that are children of ours, and have that word in their command line."""

    def dismiss(self, launch: Launch) -> str:
        """After the last process of a machine: what the host knows of why it ended, or nothing."""


class RunState(Enum):
    """
    - C{STARTING}: its processes are started one after the other.
    - C{RUNNING}: its processors were told to run.
    - C{ENDING}: one of its processes has ended, or it was killed; the others are made to end.
    - C{CLOSING}: none is left; what its VMM has said before is still read.
    - C{ENDED}: nothing is left of it.
    """

    STARTING = auto()
    RUNNING = auto()
    ENDING = auto()
    CLOSING = auto()
    ENDED = auto()


TRANSITIONS: TransitionTable[RunState] = TransitionTable(
    {
        RunState.STARTING: [RunState.RUNNING, RunState.ENDING],
        RunState.RUNNING: [RunState.ENDING],
        RunState.ENDING: [RunState.CLOSING],
        RunState.CLOSING: [RunState.ENDED],
        RunState.ENDED: [],
    }
)

ALIVE: Final = (RunState.STARTING, RunState.RUNNING)


class MachineRun:
    """
    The processes of one machine: a VMM, and its helpers. When one ends, all do.

    A L{RunningVmm}; what is said of the methods there is not repeated here.

    @param resume: it runs already, and has been started by us before we executed ourselves anew.
    @raise VmmError: its folder can't be written to.
    @ivar press: asks the guest to power off: the driver's, once it can be asked.
    @ivar write_to: writes a snapshot to a folder: the driver's, as C{press} is.
    @ivar ended: as in L{RunningVmm}.
    @ivar meanings: what exit statuses of the VMM mean.
    """

    _logger = Logger()

    def __init__(
        self,
        reactor: Any,
        starter: ProcessStarter,
        launch: Launch,
        on_event: Callable[[VmmEvent], None],
        *,
        resume: bool = False,
    ) -> None:
        self.launch = launch
        self.ended: Deferred[VmmEnded] = Deferred()
        self.press: Callable[[], Deferred[None]] | None = None
        self.write_to: Callable[[Path], Coroutine[Deferred[Any], Any, None]] | None = None
        self.meanings: Mapping[int, str] = {}
        self._reactor = reactor
        self._starter = starter
        self._on_event = on_event
        self._resume = resume
        self._state = RunState.RUNNING if resume else RunState.STARTING
        self._children: dict[str, Child] = {}
        self._logs: dict[str, OutputLog] = {}
        self._pids: dict[str, int] = {}
        self._main = ""
        self._first: ProcessEnd | None = None
        self._shutdown = ""
        self._killed = ""
        self._panicked = False
        self._init_told = resume
        self._sockets: list[Path] = []
        self._waiting: Deferred[Any] | None = None
        self._connections: list[Deferred[None]] = []
        self._closers: list[Callable[[], None]] = []
        try:
            self._console = OutputLog(
                *(reactor, launch.folder, "console", launch.machine.console),
                resume=resume,
                on_output=self._watch_console,
            )
        except OSError as error:
            raise VmmError(_told(error)) from None

    @property
    def pid(self) -> int:
        """As in L{RunningVmm}."""
        return self._pids[self._main]

    def power_off(self) -> Deferred[None]:
        """As in L{RunningVmm}."""
        if self._state not in ALIVE:
            return succeed(None)
        if self.press is None:
            return fail(VmmError("the VMM can't be asked"))
        return self.press()

    def freeze(self, folder: Path) -> Deferred[None]:
        """As in L{RunningVmm}."""
        if self._state is not RunState.RUNNING or self.write_to is None:
            return fail(VmmError("the VMM can't be asked"))
        return Deferred.fromCoroutine(self._freeze(self.write_to(folder)))

    async def _freeze(self, writing: Coroutine[Deferred[Any], Any, None]) -> None:
        try:
            await writing
        except VmmError:
            raise
        except CancelledError:
            raise VmmError("it has ended") from None
        except Exception as error:
            raise VmmError(printable(str(error) or repr(error))) from None

    def kill(self, reason: str = "killed") -> None:
        """As in L{RunningVmm}."""
        if self._state in ALIVE:
            self._killed = reason
            self._end()

    def own(self, *paths: Path) -> None:
        """
        Sockets that its processes make, or have made: they are removed when it has ended.

        @raise VmmError: one can't be made there.
        """
        if not self._resume:
            for path in paths:
                make_way(path)
        self._sockets += paths

    def spawn(
        self,
        name: str,
        command: list[str],
        *,
        main: bool = False,
        descriptors: Mapping[int, int] | None = None,
    ) -> None:
        """
        Start one of its processes.

        @param name: of its log: C{<name>.log}.
        @param main: it is the VMM: what it writes to its standard output is the guest's console.
        @raise VmmError: it can't be started.
        """
        try:
            if not self._pids:
                self._starter.admit(self.launch)
            log = OutputLog(self._reactor, self.launch.folder, name, LOG_LIMIT)
            output = self._console.pipe if main else log.pipe
            try:
                child = self._starter.spawn(
                    self.launch, name, command, output, log.pipe, dict(descriptors or {})
                )
            except BaseException:
                log.close()
                raise
            self._watch(name, child, log, main)
        except OSError as error:
            raise VmmError(_told(error)) from None
        if main:
            self.tell(VmmEventKind.SPAWNED)

    def adopt(self, name: str, pid: int, helpers: Mapping[str, str]) -> None:
        """
        Take over the processes of a machine that runs.

        @param pid: the VMM's.
        @param helpers: by their names, a word that only their command line has.
        """
        self._main, self._pids[name] = name, pid
        found = {
            helper: next(iter(self._starter.helpers(word)), 0) for helper, word in helpers.items()
        }
        for each, number in {**found, name: pid}.items():
            try:
                if not number:
                    raise ProcessLookupError
                child = self._starter.adopt(number)
            except OSError:
                self._first = self._first or ProcessEnd(each, None, None)
                continue
            log = OutputLog(self._reactor, self.launch.folder, each, LOG_LIMIT, resume=True)
            self._watch(each, child, log, each == name)
        if self._first is not None:
            self._end()

    def tell(self, kind: VmmEventKind, reason: str = "") -> None:
        """Pass on an event."""
        if self._state is RunState.ENDED:
            return
        if kind is VmmEventKind.SHUTDOWN:
            self._shutdown = self._shutdown or printable(reason)
        elif kind is VmmEventKind.REBOOTED:
            self._panicked = self._init_told = False
            self._console.lines.restarted()
        self._on_event(VmmEvent(kind, printable(reason)))

    def hear_out(self, closed: Deferred[None]) -> None:
        """What is said on a connection counts until it is closed, also when all has ended."""
        self._connections.append(closed)

    def close_with(self, close: Callable[[], None]) -> None:
        """Call it when its last process is gone; what it tells then still counts."""
        self._closers.append(close)

    async def wait(self, awaited: Deferred[T]) -> T:
        """
        Its result, while the machine is there. One at a time can be waited for.

        @raise CancelledError: the machine has ended, or the wait was cancelled.
        """
        if self._state not in ALIVE:
            awaited.addErrback(lambda _: None)
            awaited.cancel()
            raise CancelledError
        # What is cancelled may fail with an error of its own, as an attempt to connect does.
        waiting: Deferred[T] = Deferred(lambda cancelled: _cancel(cancelled, awaited))
        awaited.addBoth(lambda result: _pass_on(result, waiting))
        self._waiting = waiting
        try:
            return await waiting
        finally:
            self._waiting = None

    async def appears(self, path: Path) -> None:
        """
        Wait until a socket is there.

        @raise VmmError: it isn't, after L{PATIENCE}.
        """
        limit = self._reactor.seconds() + PATIENCE
        while not _is_there(path):
            if self._reactor.seconds() > limit:
                raise VmmError(f"no {path.name} within {PATIENCE:g} seconds")
            await self.wait(deferLater(self._reactor, POLL))

    async def bring_up(self, steps: Coroutine[Deferred[Any], Any, None]) -> RunningVmm:
        """
        Start it: take those steps, or undo them.

        @raise VmmError: they have failed, or it has ended meanwhile.
        @raise CancelledError: the start was cancelled.
        """
        cancelled = False
        try:
            await steps
        except CancelledError:
            cancelled = self._state is RunState.STARTING
            self.kill("given up")
        except VmmError as error:
            self.kill(error.reason)
        except Exception as error:
            cancelled = await self._last_words(self.ended)
            self.kill(printable(str(error) or repr(error)))
        if self._state is RunState.STARTING:
            self._state = TRANSITIONS.move(self._state, RunState.RUNNING)
            return self
        while True:
            gone: Deferred[VmmEnded] = Deferred()
            self.ended.chainDeferred(gone)
            try:
                ended = await gone
                break
            except CancelledError:
                cancelled = True
        if cancelled:
            raise CancelledError
        raise VmmError(ended.reason, ended.console)

    def _watch(self, name: str, child: Child, log: OutputLog, main: bool) -> None:
        self._children[name] = child
        self._pids[name] = child.pid
        self._logs[name] = log
        if main:
            self._main = name
        child.ended.addCallback(lambda how: self._child_ended(name, *how)).addErrback(
            lambda failure: self._logger.failure("the end of a process", failure)
        )

    def _child_ended(self, name: str, status: int | None, signal: int | None) -> None:
        del self._children[name]
        log = self._logs.pop(name)
        log.close()
        said = next(iter(log.lines.last()[-1:]), "")
        if name == self._main and status is not None:
            said = said or self.meanings.get(status, "")
        if self._first is None:
            self._first = ProcessEnd(name, status, signal, said)
        self._end()

    def _end(self) -> None:
        if self._state in ALIVE:
            self._state = TRANSITIONS.move(self._state, RunState.ENDING)
            for child in reversed(list(self._children.values())):
                child.kill()
            if self._waiting is not None:
                self._waiting.cancel()
        if self._state is RunState.ENDING and not self._children:
            self._state = TRANSITIONS.move(self._state, RunState.CLOSING)
            Deferred.fromCoroutine(self._close()).addErrback(
                lambda failure: self._logger.failure("the end of a machine", failure)
            )

    async def _close(self) -> None:
        for closed in self._connections:
            await self._last_words(closed)
        for close in self._closers:
            close()
        self._console.close()
        for path in self._sockets:
            try:
                make_way(path)
            except VmmError as error:
                self._logger.warn("left as it is: {reason}", reason=error.reason)
        end = self._first or ProcessEnd("the VMM", 0, None)
        console = self._console.lines
        known = self._starter.dismiss(self.launch)
        killed = self._killed or known
        reason = end_reason(end, shutdown=self._shutdown, killed=killed, console=console)
        self._state = TRANSITIONS.move(self._state, RunState.ENDED)
        self.ended.callback(VmmEnded(end.status, end.signal, reason, console.last()))

    async def _last_words(self, awaited: Deferred[Any]) -> bool:
        """
        Wait for it, but not for long, and leave its result to others.

        @return: whether the wait was cancelled.
        """
        over: Deferred[None] = Deferred()
        timer = self._reactor.callLater(LAST_WORDS, over.callback, None)

        def fired(result: T) -> T:
            if timer.active():
                timer.cancel()
                over.callback(None)
            return result

        awaited.addBoth(fired)
        try:
            await over
        except CancelledError:
            return True
        return False

    def _watch_console(self) -> None:
        if self._console.lines.init and not self._init_told:
            self._init_told = True
            self.tell(VmmEventKind.INIT)
        panic = self._console.lines.panic
        if panic and not self._panicked:
            self._panicked = True
            self.tell(VmmEventKind.PANICKED, panic)


def _cancel(waiting: Deferred[T], awaited: Deferred[T]) -> None:
    waiting.errback(CancelledError())
    awaited.cancel()


def _pass_on(result: Any, waiting: Deferred[T]) -> None:
    if waiting.called:
        return
    if isinstance(result, Failure):
        waiting.errback(result)
    else:
        waiting.callback(result)


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _told(error: OSError) -> str:
    what = error.strerror or str(error)
    return printable(f"{error.filename}: {what}" if error.filename else what)
