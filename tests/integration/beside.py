"""
A victim beside each hostile guest: what the victim's clients notice.

    python -m tests.integration.beside [--seconds N] [ATTACK...]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from .harness import ROOT, World
from .hostile import ATTACKS, Attack, Behaves
from .kill_loop import HOLD, metric
from .load import Load, Outcome
from .nursery import Nursery
from .test_main_job import memory_of

RATE = 200.0

APART = {min(os.sched_getaffinity(0))}, {max(os.sched_getaffinity(0))}
"""Cores for the proxy, and for all others: what is shown is what the proxy does to a victim,
not what a scheduler does with too few cores. An attacker is a virtual machine of its own."""


@dataclass
class Seen:
    """
    What was seen.

    @ivar quiet: the victim's clients before the attack.
    @ivar attacked: the same during it.
    @ivar lag: the longest delay of the reactor, in seconds.
    @ivar grown: bytes of memory that the proxy has more than before.
    @ivar log: bytes of log that it has written meanwhile.
    """

    name: str
    quiet: Outcome
    attacked: Outcome
    lag: float
    grown: int
    log: int
    dialled: int
    sent: int

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.attacked.total} requests, {self.attacked.failed} failed,"
            f" p99 {self.attacked.percentile(0.99) * 1e3:.1f} ms"
            f" (quiet {self.quiet.percentile(0.99) * 1e3:.1f} ms), reactor lag"
            f" {self.lag * 1e3:.0f} ms, {self.grown / 1e6:+.1f} MB, log {self.log / 1e3:.0f} kB;"
            f" dialled {self.dialled} times, sent {self.sent / 1e6:.1f} MB"
        )


class Askers:
    """Clients who ask for the hostile host, and don't mind what they get."""

    def __init__(self, port: int, count: int = 8, pause: float = 0.0) -> None:
        self._port = port
        self._pause = pause
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        body = b"u" * 1_000_000
        while not self._ending.wait(self._pause):
            client = HTTPConnection("127.0.0.1", self._port, timeout=2)
            try:
                client.request("POST", "/", body, {"Host": "hostile.example"})
                client.getresponse().read(100_000)
            except (OSError, HTTPException):
                time.sleep(0.02)
            finally:
                client.close()

    def stop(self) -> None:
        """End them."""
        self._ending.set()
        for thread in self._threads:
            thread.join(10)


class AskersApart:
    """L{Askers} in a process of their own, of low priority."""

    def __init__(self, port: int) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", _ASKERS, str(port)], stdin=subprocess.PIPE, cwd=ROOT
        )
        os.setpriority(os.PRIO_PROCESS, self._child.pid, 19)

    def stop(self) -> None:
        """End them, whatever they wait for."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.kill()
        self._child.wait()


_ASKERS = """
import sys
from tests.integration.beside import Askers
Askers(int(sys.argv[1]))
sys.stdin.read()
"""


def beside(kind: type[Attack], seconds: float, *options: str) -> Seen:
    """One attack beside one victim."""
    world = World()
    nursery = Nursery(world.folder / "executed", world.folder / "nursery.log")
    try:
        admin, hostile = world.folder / "admin", world.folder / "cid66.sock"
        proxy = world.start_proxy(
            "--access-log=none",
            HOLD,
            f"--admin={admin}",
            f"--vsock={hostile}",
            "--ping-interval=0.3",
            "--ping-timeout=0.6",
            *options,
        )
        os.sched_setaffinity(proxy.child.pid, APART[0])
        os.sched_setaffinity(0, APART[1])
        os.sched_setaffinity(nursery.guest(world.vsock, "victim\\.example"), APART[1])
        proxy.wait_for(" serves ")
        Load(world.port, "victim.example", connections=4, rate=RATE).run_for(0.5)
        quiet = Load(world.port, "victim.example", connections=4, rate=RATE).run_for(seconds)
        memory, log = memory_of(proxy.child.pid), len(proxy.output)
        attack = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.hostile", kind.__name__, str(hostile)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        assert attack.stdout is not None
        assert attack.stdout.readline() == "dialled\n"
        os.setpriority(os.PRIO_PROCESS, attack.pid, 19)
        askers = AskersApart(world.port) if kind.asked else None
        attacked = Load(world.port, "victim.example", connections=4, rate=RATE).run_for(seconds)
        lag = metric(admin, "reactor_lag_seconds")
        grown = memory_of(proxy.child.pid) - memory
        log = len(proxy.output) - log
        sums, _ = attack.communicate("", 30)
        dialled, sent = map(int, sums.split())
        if askers is not None:
            askers.stop()
        assert "Traceback" not in proxy.output, proxy.output
        return Seen(kind.__name__, quiet, attacked, lag, grown, log, dialled, sent)
    finally:
        os.sched_setaffinity(0, APART[0] | APART[1])
        nursery.close()
        world.close()


def main() -> None:
    """Run what the command line names."""
    names = {kind.__name__: kind for kind in (Behaves, *ATTACKS)}
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[1])
    parser.add_argument("attack", nargs="*", choices=[[], *names])
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    for name in options.attack or names:
        print(beside(names[name], options.seconds), flush=True)


if __name__ == "__main__":
    main()
