"""
A victim beside each hostile guest: what the victim's clients notice.

    python -m tests.integration.beside [--seconds N] [--rounds N] [ATTACK...]

Rounds without the attack and with it take turns. The victim's clients and its guest are the
programs in C of the benchmarks, which ask at a fixed rate: their own time is next to nothing.

The proxy has a core for itself. The victim, its clients, the attacker and whoever asks for the
attacker share the other one, the last two of them with the policy C{SCHED_IDLE}: they have what
the victim leaves, which is nearly all of it, but never keep it waiting. An attacker is a virtual
machine of its own: what is shown is what the proxy lets it do, not what it does to a scheduler.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from statistics import median
from types import TracebackType

from benchmarks.build import program
from tests.integration.admin_client import metric
from tests.integration.attack_apart import AttackApart, leave_to_others
from tests.integration.harness import ROOT, World
from tests.integration.hostile import ATTACKS, Attack, Behaves
from tests.integration.kill_loop import HOLD
from tests.integration.test_main_job import memory_of

RATE = 4000
CONNECTIONS = 16
HOST = "victim.example"

PROXY_CORE = {min(os.sched_getaffinity(0))}
OTHER_CORE = {max(os.sched_getaffinity(0))}


@dataclass(frozen=True)
class Asked:
    """
    What the victim's clients had in one round.

    @ivar total: requests that were answered.
    @ivar failed: those that got no 200, and those that got no answer while they should have.
    @ivar p99: seconds from when a request was due to its answer.
    """

    total: int
    failed: int
    p99: float
    longest: float


@dataclass
class Seen:
    """
    What was seen.

    @ivar quiet: the victim's clients in each round without the attack.
    @ivar attacked: the same in each round with it.
    @ivar lag: the longest delay of the reactor, in seconds.
    @ivar grown: bytes of memory that the proxy has more at the end of the last attack than before
        the first.
    @ivar log: bytes of log that it has written in the attacks.
    @ivar dialled: how often the attacker has connected.
    @ivar sent: how many bytes it has sent.
    """

    name: str
    quiet: list[Asked] = field(default_factory=list)
    attacked: list[Asked] = field(default_factory=list)
    lag: float = 0.0
    grown: int = 0
    log: int = 0
    dialled: int = 0
    sent: int = 0

    @property
    def total(self) -> int:
        """Requests of the victim's clients under attack."""
        return sum(each.total for each in self.attacked)

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return sum(each.failed for each in self.attacked)

    def __str__(self) -> str:
        quiet, attacked = (
            [each.p99 * 1e3 for each in rounds] for rounds in (self.quiet, self.attacked)
        )
        return (
            f"{self.name}: {self.total} requests, {self.failed} failed, p99 of the median round"
            f" {median(quiet):.2f} -> {median(attacked):.2f} ms"
            f" ({median(attacked) / median(quiet):.1f} times; quiet {min(quiet):.2f} to"
            f" {max(quiet):.2f}, attacked {min(attacked):.2f} to {max(attacked):.2f}),"
            f" longest {max(each.longest for each in self.attacked) * 1e3:.0f} ms"
            f" (quiet {max(each.longest for each in self.quiet) * 1e3:.0f}), reactor lag"
            f" {self.lag * 1e3:.0f} ms, {self.grown / 1e6:+.1f} MB, log {self.log / 1e3:.0f} kB;"
            f" dialled {self.dialled} times, sent {self.sent / 1e6:.1f} MB"
        )


class Askers:
    """Clients who ask for the hostile host, and don't mind what they get."""

    def __init__(self, port: int, count: int = 8, pause: float = 0.0, path: str = "/") -> None:
        self._port = port
        self._path = path
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
                if self._path == "/":
                    client.request("POST", "/", body, {"Host": "hostile.example"})
                else:
                    client.request("GET", self._path, headers={"Host": "hostile.example"})
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
    """L{Askers} in a process of their own, which has what the others leave of a core."""

    def __init__(self, port: int, path: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", _ASKERS, str(port), path], stdin=subprocess.PIPE, cwd=ROOT
        )
        leave_to_others(self._child.pid)

    def stop(self) -> None:
        """End them, whatever they wait for."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.kill()
        self._child.wait()


_ASKERS = """
import sys
from tests.integration.beside import Askers
Askers(int(sys.argv[1]), path=sys.argv[2])
sys.stdin.read()
"""


class Stage:
    """A proxy with a victim, and a socket for whoever attacks."""

    def __init__(self, *options: str) -> None:
        self.world = World()
        self.admin = self.world.folder / "admin"
        self.hostile = self.world.folder / "cid66.sock"
        self._options = options

    def __enter__(self) -> Stage:
        world = self.world
        try:
            self.proxy = world.start_proxy(
                "--access-log=none",
                "--keepalive-requests=1000000000",
                HOLD,
                f"--admin={self.admin}",
                f"--vsock={self.hostile}",
                "--ping-interval=0.3",
                "--ping-timeout=0.6",
                *self._options,
            )
            os.sched_setaffinity(self.proxy.child.pid, PROXY_CORE)
            os.sched_setaffinity(0, OTHER_CORE)
            world.start("victim", [program("guest"), f"{world.vsock}_12345", HOST, "1", "1"])
            self.proxy.wait_for(" serves ")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.sched_setaffinity(0, PROXY_CORE | OTHER_CORE)
        self.world.close()

    def ask(self, seconds: float) -> Asked:
        """Ask for the victim's host."""
        words = {
            "port": self.world.port,
            "host": HOST,
            "connections": CONNECTIONS,
            "rate": RATE,
            "seconds": seconds,
        }
        options = [f"--{name} {value}" for name, value in words.items()]
        done = subprocess.run(
            [program("load"), *" ".join(options).split()],
            stdout=subprocess.PIPE,
            check=True,
            timeout=seconds + 30,
        )
        told = json.loads(done.stdout)
        return Asked(
            told["requests"],
            told["bad_status"] + told["broken"] + told["reconnects"],
            told["p99_us"] / 1e6,
            told["max_us"] / 1e6,
        )

    def attacked(self, kind: type[Attack], seconds: float, seen: Seen) -> None:
        """Ask for the victim's host under attack: what was seen is added to C{seen}."""
        log = len(self.proxy.output)
        attack = AttackApart("tests.integration.hostile", kind.__name__, str(self.hostile))
        askers = AskersApart(self.world.port, kind.path) if kind.asked else None
        seen.attacked.append(self.ask(seconds))
        seen.lag = max(seen.lag, metric(self.admin, "reactor_lag_seconds"))
        dialled, sent = attack.stop()
        seen.dialled += dialled
        seen.sent += sent
        if askers is not None:
            askers.stop()
        seen.log += len(self.proxy.output) - log
        assert "Traceback" not in self.proxy.output, self.proxy.output


def beside(
    kind: type[Attack],
    seconds: float,
    *options: str,
    rounds: int = 1,
    quiet: float | None = None,
) -> Seen:
    """
    One attack beside one victim: so many rounds of so many seconds, each first without it.

    C{quiet}: how long without it, if not as long; who judges no latency compares nothing.
    """
    seen = Seen(kind.__name__)
    with Stage(*options) as stage:
        stage.ask(0.5)
        memory = memory_of(stage.proxy.child.pid)
        for _ in range(rounds):
            seen.quiet.append(stage.ask(seconds if quiet is None else quiet))
            stage.attacked(kind, seconds, seen)
            time.sleep(0.5)
        seen.grown = memory_of(stage.proxy.child.pid) - memory
    return seen


def main() -> None:
    """Run what the command line names."""
    names = {kind.__name__: kind for kind in (Behaves, *ATTACKS)}
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[1])
    parser.add_argument("attack", nargs="*", choices=[[], *names])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for name in options.attack or names:
        print(beside(names[name], options.seconds, rounds=options.rounds), flush=True)


if __name__ == "__main__":
    main()
