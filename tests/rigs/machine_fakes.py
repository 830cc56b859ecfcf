"""A VMM and a proxy of which only tests say what they do, for those who keep machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from twisted.internet.defer import Deferred

from subproxy.machines.vmm.driver import (
    Launch,
    RunningVmm,
    VmmEnded,
    VmmEvent,
    VmmEventKind,
)


class FakeRunning:
    """A machine that runs until a test says otherwise."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended: Deferred[VmmEnded] = Deferred()
        self.powered_off: Deferred[None] = Deferred()
        self.told: list[str] = []

    def power_off(self) -> Deferred[None]:
        self.told.append("power off")
        return self.powered_off

    def freeze(self, folder: Path) -> Deferred[None]:
        self.told.append("freeze")
        self.freezing = folder
        self.frozen: Deferred[None] = Deferred()
        return self.frozen

    def kill(self) -> None:
        self.told.append("kill")

    def end(self, reason: str = "powered off", *console: str) -> None:
        """It has ended."""
        self.ended.callback(VmmEnded(0, None, reason, console))


@dataclass
class FakeStart:
    """What was asked to be started."""

    launch: Launch
    on_event: Callable[[VmmEvent], None]
    started: Deferred[RunningVmm]
    cancelled: bool = False

    def runs(self, pid: int = 77) -> FakeRunning:
        """It runs."""
        running = FakeRunning(pid)
        self.on_event(VmmEvent(VmmEventKind.SPAWNED))
        self.on_event(VmmEvent(VmmEventKind.BOOTING))
        self.started.callback(running)
        return running


class FakeVmm:
    """Starts nothing."""

    def __init__(self) -> None:
        self.starts: list[FakeStart] = []
        self.adopted: list[tuple[Launch, FakeRunning]] = []
        self.gone: set[int] = set()

    def start(self, launch: Launch, on_event: Callable[[VmmEvent], None]) -> Deferred[RunningVmm]:
        started: Deferred[RunningVmm] = Deferred(lambda _: setattr(start, "cancelled", True))
        start = FakeStart(launch, on_event, started)
        self.starts.append(start)
        return started

    def adopt(self, launch: Launch, pid: int, on_event: Callable[[VmmEvent], None]) -> RunningVmm:
        if pid in self.gone:
            raise ProcessLookupError(3, "No such process")
        running = FakeRunning(pid)
        self.adopted.append((launch, running))
        return running


@dataclass
class FakeHost:
    """The proxy round a manager: what it was told."""

    listening: list[str] = field(default_factory=list)
    drains: dict[str, Deferred[None]] = field(default_factory=dict)
    undrained: list[str] = field(default_factory=list)
    told: list[tuple[str, bool, float]] = field(default_factory=list)
    trouble: Exception | None = None
    runs: list[str] = field(default_factory=list)

    def listen(self, device: str, user: str, run: str) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self.runs.append(run)
        if self.trouble is not None:
            done.errback(self.trouble)
        else:
            self.listening.append(device)
            done.callback(None)
        return done

    def stop_listening(self, device: str) -> Deferred[None]:
        if device in self.listening:
            self.listening.remove(device)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def drain(self, identity: str) -> Deferred[None]:
        drained: Deferred[None] = Deferred()
        self.drains[identity] = drained
        return drained

    def undrain(self, identity: str) -> None:
        self.undrained.append(identity)

    def status(self, name: str, up: bool, refused: float) -> None:
        self.told.append((name, up, refused))
