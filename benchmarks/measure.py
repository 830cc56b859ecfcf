"""Runs the load programs against a server and refuses what is not a valid measurement."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .build import program
from .rig import resident_bytes


class InvalidRun(Exception):
    """An answer was not 2xx or not complete, or a connection broke: no figure comes of it."""


class NoAnswer(InvalidRun):
    """Not one answer came: the load's core was taken by others, or the contender hangs."""


@dataclass(frozen=True)
class Sample:
    """One measurement of one contender in one round; times in microseconds."""

    contender: str
    scenario: str
    connections: int
    round: int
    raw: dict[str, Any]

    @property
    def cpu_us(self) -> float:
        """CPU time a request, user and system together."""
        return float(self.raw["cpu_ns"]) / float(self.raw["requests"]) / 1e3

    @property
    def user_us(self) -> float:
        """User CPU time a request: the exact total, shared out by the kernel's 10 ms ticks."""
        return self.cpu_us * self._user_share()

    @property
    def system_us(self) -> float:
        """System CPU time a request."""
        return self.cpu_us * (1 - self._user_share())

    @property
    def rate(self) -> float:
        """Requests a second."""
        return float(self.raw["requests"]) / float(self.raw["seconds"])

    @property
    def busy(self) -> float:
        """The share of the time in which the server's core ran it: below 1, the load waited."""
        return float(self.raw["cpu_ns"]) / 1e9 / float(self.raw["seconds"])

    @property
    def cpu_seconds_per_gb(self) -> float:
        """CPU seconds for 10^9 bytes of body."""
        return float(self.raw["cpu_ns"]) / float(self.raw["bytes"])

    @property
    def gb_per_second(self) -> float:
        """10^9 bytes of body a second."""
        return float(self.raw["bytes"]) / float(self.raw["seconds"]) / 1e9

    def _user_share(self) -> float:
        ticks = self.raw["user_ticks"] + self.raw["system_ticks"]
        return float(self.raw["user_ticks"] / ticks) if ticks else 0.0

    def to_json(self) -> dict[str, Any]:
        """For the raw figures."""
        return asdict(self)


def check(raw: dict[str, Any], what: str) -> dict[str, Any]:
    """Raises C{InvalidRun} unless every answer was 2xx and whole, and there was one at least."""
    if raw["bad_status"] or raw["broken"]:
        raise InvalidRun(
            f"{what}: {raw['bad_status']} answers not 2xx, {raw['broken']} broken: no figures"
        )
    if not raw.get("requests", raw.get("transfers")):
        raise NoAnswer(f"{what}: no answer at all: {raw}")
    return raw


def prefer(pid: int, niceness: int) -> bool:
    """Lets a process run before those of its core that are nicer, 0 being everyone's niceness.

    By niceness and not by a real-time policy: before such processes the kernel's own thread for
    what comes over loopback would have to wait, and all with it. False if this system does not
    allow it.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
    except PermissionError:
        return False
    return True


def pinned(core: int, *, niceness: int = 0) -> Any:
    """A C{preexec_fn} that pins a process, and sets its niceness where that is allowed."""

    def prepare() -> None:
        os.sched_setaffinity(0, {core})
        if niceness:
            prefer(0, niceness)

    return prepare


def command_line(name: str, port: int, pids: Sequence[int], **options: Any) -> list[str]:
    """The command of a program of C{native/}; an option of None is left out, True is a flag."""
    command = [program(name), "--port", str(port)]
    for pid in pids:
        command += ["--pid", str(pid)]
    for key, value in options.items():
        if value is True:
            command.append(f"--{key.replace('_', '-')}")
        elif value is not None and value is not False:
            command += [f"--{key.replace('_', '-')}", str(value)]
    return command


def run(command: Sequence[str], core: int, *, seconds: float, niceness: int = 0) -> dict[str, Any]:
    """Runs a load program on a core to its end, C{InvalidRun} if it fails; returns its figures."""
    try:
        done = subprocess.run(
            list(command),
            capture_output=True,
            text=True,
            timeout=seconds,
            preexec_fn=pinned(core, niceness=niceness),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InvalidRun(f"{' '.join(command)}: not done after {seconds:.0f} s") from None
    if done.returncode:
        raise InvalidRun(f"{' '.join(command)}: {done.stderr.strip()}")
    figures: dict[str, Any] = check(json.loads(done.stdout), f"{' '.join(command)} {done.stderr}")
    return figures


def idle_connections(port: int, pids: Sequence[int], count: int, core: int) -> dict[str, int]:
    """Resident memory of the server before and with so many idle keep-alive connections.

    Each connection makes one request first.
    """
    before = resident_bytes(pids)
    command = command_line("load", port, [], idle=True, connections=count)
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=pinned(core),  # noqa: PLW1509 (no threads here)
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline().split()
        if not line:
            raise InvalidRun(f"{' '.join(command)}: failed")
        check({"bad_status": int(line[1]), "broken": int(line[2]), "requests": count}, "idle")
        after = resident_bytes(pids)
        process.communicate(timeout=30)
    return {"connections": count, "rss_before": before, "rss_after": after}
