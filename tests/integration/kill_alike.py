"""
Guests and back ends that are killed each second, behind subproxy, nginx and HAProxy in turn, with
all but the proxy as alike as can be: the same load, the same program behind it.

    python -m tests.integration.kill_alike [--seconds N] [--rounds N] [--rate N] [--quiet] [CASE...]

A case is C{PROXY-KIND}. What answers is of one of these kinds:

  - C{c}: the programs in C of the benchmarks, which ask, too;
  - C{light}: a few lines of asyncio (L{light}), forked by the L{nursery}; L{Load} asks, as in
    L{kill_loop};
  - C{library}: guests with the guest library, and back ends of kind C{light} that are given as
    much to do for each request.

The proxy C{floor} is none: it answers by itself, and nobody is killed, so that the longest that it
takes is the machine's own. With C{--rate} so many requests a second are due, and latency counts
from then (kind C{c}); otherwise each client asks as soon as it is answered. C{--quiet} kills
nobody: what is as long then is no matter of kills.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.build import program
from tests.integration.harness import World, free_port, wait_until
from tests.integration.kill_loop import CONNECTIONS, HOLD, HOST, answers
from tests.integration.load import Load
from tests.integration.nursery import Nursery
from tests.integration.peers_kill import available, start_peer

WORK = 350
"""Objects a request that a back end of kind C{library} makes: about 80 us (guests: 69 to 98)."""

INTERVAL = 1.0
"""Seconds between two kills."""


@dataclass(frozen=True)
class Had:
    """
    What the clients had in one run; times in seconds.

    @ivar failed: what was not answered 200, or not at all.
    """

    case: str
    total: int
    failed: int
    kills: int
    p50: float
    p99: float
    p999: float
    longest: float

    def __str__(self) -> str:
        p50, p99, p999, longest = (x * 1e3 for x in (self.p50, self.p99, self.p999, self.longest))
        return (
            f"{self.case}: {self.total} requests, {self.failed} failed, {self.kills} kills,"
            f" p50 {p50:.2f}, p99 {p99:.2f}, p99.9 {p999:.2f}, longest {longest:.1f} ms"
        )


class Native:
    """Applications in C, each with a unix socket of its own."""

    def __init__(self, world: World, proxy: str) -> None:
        self.sockets = [world.folder / f"cid{10 + each}.sock" for each in range(2)]
        self._guests = proxy == "subproxy"
        self._running: list[subprocess.Popen[bytes] | None] = [None, None]

    @property
    def addresses(self) -> list[Path]:
        """Where the back ends listen."""
        return self.sockets

    def start(self, which: int) -> None:
        """Start that one."""
        path = self.sockets[which]
        guest = [program("guest"), f"{path}_12345", HOST.replace("\\", ""), "1", "1"]
        command = guest if self._guests else [program("backend"), str(path)]
        self._running[which] = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def there(self) -> bool:
        """Whether both back ends accept."""
        return self._guests or all(_accepts(socket.AF_UNIX, str(each)) for each in self.sockets)

    def kill(self, which: int) -> None:
        """SIGKILL, and wait for the end."""
        running = self._running[which]
        if running is not None:
            running.kill()
            running.wait()

    def close(self) -> None:
        """End all."""
        for which in range(2):
            self.kill(which)

    def load(self, port: int, seconds: float, rate: float) -> Callable[[], Had]:
        """Begin to ask; what is returned waits for the end."""
        words = {
            "port": port,
            "host": HOST.replace("\\", ""),
            "connections": CONNECTIONS,
            "seconds": seconds,
            "rate": rate,
        }
        options = [word for name, value in words.items() for word in (f"--{name}", f"{value}")]
        child = subprocess.Popen([program("load"), *options], stdout=subprocess.PIPE)

        def had() -> Had:
            told = json.loads(child.communicate(timeout=seconds + 30)[0])
            failed = told["bad_status"] + told["broken"] + told["reconnects"]
            names = ("p50_us", "p99_us", "p999_us", "max_us")
            return Had("", told["requests"], failed, 0, *(told[name] / 1e6 for name in names))

        return had


class Light:
    """Applications of a few lines of asyncio."""

    work = 0

    def __init__(self, world: World, proxy: str) -> None:
        self.sockets = [world.folder / f"cid{10 + each}.sock" for each in range(2)]
        self._guests = proxy == "subproxy"
        self._nursery = Nursery(world.folder / "executed", world.folder / "nursery.log")
        self.addresses = [free_port(), free_port()]
        self._pids: list[int] = [0, 0]

    def start(self, which: int) -> None:
        """Start that one."""
        if self._guests:
            self._pids[which] = self._guest(self.sockets[which])
        else:
            self._pids[which] = self._nursery.backend(self.addresses[which], self.work)

    def _guest(self, path: Path) -> int:
        return self._nursery.light(path, HOST)

    def there(self) -> bool:
        """Whether both back ends accept."""
        where = [("127.0.0.1", each) for each in self.addresses]
        return self._guests or all(_accepts(socket.AF_INET, each) for each in where)

    def kill(self, which: int) -> None:
        """SIGKILL, and wait for the end."""
        pid = self._pids[which]
        self._nursery.kill(pid)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "it to be gone")

    def close(self) -> None:
        """End all."""
        self._nursery.close()

    def load(self, port: int, seconds: float, rate: float) -> Callable[[], Had]:
        """Begin to ask; what is returned waits for the end."""
        assert not rate, "only of kind c"
        load = Load(port, connections=CONNECTIONS)
        load.start()
        timer = threading.Timer(seconds, load.end)
        timer.start()

        def had() -> Had:
            timer.join()
            outcome = load.stop()
            failed = outcome.failed + outcome.unconnected
            return Had(
                "", outcome.total, failed, 0, *map(outcome.percentile, (0.5, 0.99, 0.999, 1))
            )

        return had


class Library(Light):
    """Guests with the guest library, and back ends that cost as much."""

    work = WORK

    def _guest(self, path: Path) -> int:
        return self._nursery.guest(path, HOST)


KINDS: dict[str, type[Native | Light]] = {"c": Native, "light": Light, "library": Library}


def _accepts(family: int, address: str | tuple[str, int]) -> bool:
    with socket.socket(family) as client:
        try:
            client.connect(address)
        except OSError:
            return False
    return True


def _start(world: World, proxy: str, applications: Native | Light) -> int:
    """Start that proxy before these; its port."""
    if proxy == "subproxy":
        one, two = applications.sockets
        options = ("--access-log=none", HOLD, "--ping-interval=0.3", "--ping-timeout=0.6")
        more = ("--keepalive-requests=1000000000", f"--vsock={two}")
        world.start_proxy(*options, *more, vsock=str(one))
        port = world.port
    else:
        port = free_port()
    for which in range(2):
        applications.start(which)
    if proxy != "subproxy":
        wait_until(applications.there, "both back ends")
        start_peer(world, proxy, port, *applications.addresses)
    elif world.proxy is not None:
        world.proxy.wait_for(" serves ", 2)
    return port


def alike(case: str, seconds: float, *, rate: float = 0.0, quiet: bool = False) -> Had:
    """One run of one case."""
    proxy, _, kind = case.partition("-")
    world = World()
    try:
        applications = KINDS[kind](world, proxy)
        try:
            if proxy == "floor":
                port = free_port()
                world.start("floor", [program("floor"), str(port)])
            else:
                port = _start(world, proxy, applications)
            wait_until(lambda: answers(port), f"{proxy} to answer")
            had = applications.load(port, seconds, rate)
            kills, end = 0, time.monotonic() + seconds
            while not quiet and proxy != "floor" and time.monotonic() + INTERVAL < end:
                time.sleep(INTERVAL)
                # Unlike subproxy the others can't hold a request: never kill both.
                wait_until(applications.there, "both back ends")
                applications.kill(kills % 2)
                applications.start(kills % 2)
                kills += 1
            seen = had()
            return Had(
                f"{case}{' quiet' if quiet else ''}{f' {rate:g}/s' if rate else ''}",
                *(seen.total, seen.failed, kills, seen.p50, seen.p99, seen.p999, seen.longest),
            )
        finally:
            applications.close()
    finally:
        world.close()


CASES = [f"{proxy}-{kind}" for kind in KINDS for proxy in ("subproxy", "nginx", "haproxy")]


def main() -> None:
    """Run what the command line names, in turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[1])
    cases = [*CASES, *(f"floor-{kind}" for kind in KINDS)]
    parser.add_argument("case", nargs="*", choices=[[], *cases])
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    longest: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for case in options.case or CASES:
            proxy = case.partition("-")[0]
            if proxy in ("nginx", "haproxy") and not available(proxy):
                continue
            had = alike(case, options.seconds, rate=options.rate, quiet=options.quiet)
            print(had, flush=True)
            longest.setdefault(had.case, []).append(had.longest * 1e3)
    for case, all_of in longest.items():
        print(
            f"{case}: longest {' '.join(f'{each:.1f}' for each in all_of)} ms,"
            f" median {median(all_of):.1f}"
        )


if __name__ == "__main__":
    main()
