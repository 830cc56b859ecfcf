"""
Mixed load for a long time: does the memory of the proxy stay where it is?

    python -m tests.integration.soak --minutes 60

GET and POST, uploads, clients that hang up, a guest killed each ten seconds, a hostile guest.
Prints a line each minute; exit status 1 if a request failed that should not, or if the
memory grew by more than a tenth after the first quarter.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.integration.admin_client import metric
from tests.integration.beside import Askers
from tests.integration.harness import ROOT
from tests.integration.hostile import ATTACKS
from tests.integration.kill_loop import CONNECTIONS, executed_in, kill, scene
from tests.integration.load import Load, Outcome, Trouble
from tests.integration.test_main_job import memory_of

STEP = 60.0
STOPPED = 3.0
"""Seconds without a turn of ours: whoever measures has stopped everything."""

SETTLES = 5.0
"""Seconds for which failures after that are not the proxy's."""


class Leavers(threading.Thread):
    """Clients that hang up in the middle of a head, an upload, or an answer."""

    def __init__(self, port: int, pause: float) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._pause = pause
        self._ending = threading.Event()

    def run(self) -> None:
        """Come and go."""
        heads = (
            b"GET / HTTP/1.1\r\nHost: blog",
            b"POST / HTTP/1.1\r\nHost: blog.example\r\nContent-Length: 100000\r\n\r\nabc",
            b"GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n",
        )
        while not self._ending.wait(self._pause):
            for head in heads:
                try:
                    with socket.create_connection(("127.0.0.1", self._port), 5) as client:
                        client.sendall(head)
                except OSError:
                    pass  # they don't mind

    def stop(self) -> None:
        """End."""
        self._ending.set()
        self.join(10)


@dataclass(frozen=True)
class Plan:
    """
    What a soak does.

    @ivar minutes: how long, not counting time in which everything was stopped (SIGSTOP).
    @ivar rate: GET requests a second, and as many POST.
    @ivar every: seconds from one killed guest, and one attack, to the next.
    @ivar attack: seconds of each attack.
    @ivar samples: where a line a sample goes; standard output if None.
    """

    minutes: float = 60.0
    rate: float = 300.0
    every: float = 10.0
    attack: float = 10.0
    samples: Path | None = None


class Running:
    """
    Seconds in which this process ran: whoever measures something else may stop all (SIGSTOP).

    @ivar stops: when that was, in monotonic seconds.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.stops: list[tuple[float, float]] = []
        self._last = time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep for so many of them."""
        end = self.seconds + seconds
        while self.seconds < end:
            time.sleep(0.1)
            now = time.monotonic()
            if now - self._last < STOPPED:
                self.seconds += now - self._last
            else:
                self.stops.append((self._last, now))
            self._last = now

    def real(self, outcome: Outcome) -> list[Trouble]:
        """Failures that have nothing to do with a stop."""
        return [
            each
            for each in outcome.troubles
            if not any(
                each.ended > begin and each.began < end + SETTLES for begin, end in self.stops
            )
        ]


def soak(plan: Plan) -> int:
    """Run; the exit status."""
    with scene("--admin=admin", "--vsock=hostile.sock") as there:
        folder = there.world.folder
        proxy = there.world.proxy
        assert proxy is not None
        attackers = list(ATTACKS)
        askers = Askers(there.port, 2, plan.every / 10)
        leavers = Leavers(there.port, plan.every / 500)
        get = Load(there.port, connections=CONNECTIONS // 2, rate=plan.rate)
        post = Load(
            there.port, method="POST", connections=CONNECTIONS // 2, rate=plan.rate, keep=True
        )
        for each in (leavers, get, post):
            each.start()
        running, began = Running(), time.monotonic()
        kills, memory, due = 0, [], 0.0
        samples = plan.samples.open("a") if plan.samples is not None else sys.stdout
        while running.seconds < plan.minutes * 60:
            kind = attackers[kills % len(attackers)]
            attack = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.hostile"]
                + [kind.__name__, str(folder / "hostile.sock")],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
            )
            running.sleep(plan.attack)
            attack.communicate(b"", 300)
            running.sleep(plan.every - plan.attack)
            kill(there, kills % 2)
            kills += 1
            if running.seconds >= due:
                due += STEP
                memory.append(memory_of(proxy.child.pid))
                print(
                    f"{running.seconds:6.0f} s  RSS {memory[-1] / 1e6:.1f} MB  GET"
                    f" {get.outcome.total} ({len(running.real(get.outcome))} failed)  POST"
                    f" {post.outcome.total} ({len(running.real(post.outcome))} failed)  lag"
                    f" {metric(folder / 'admin', 'reactor_lag_seconds') * 1e3:.0f} ms"
                    f"  {kind.__name__}",
                    file=samples,
                    flush=True,
                )
        leavers.stop()
        askers.stop()
        got, posted = get.stop(), post.stop()
        executed = executed_in(there.executed)
        twice = [number for number, count in executed.items() if count > 1]
        settled = max(memory[len(memory) // 4 : len(memory) // 2 + 1])
        flat = max(memory[len(memory) // 2 :]) <= settled * 1.1
        failed, failed_posts = running.real(got), running.real(posted)
        for each in failed:
            print(
                f"{each.ended - began:.1f} s, after {each.ended - each.began:.2f} s: {each.how}",
                file=samples,
            )
        print(
            f"GET: {got}; {len(failed)} not by a stop\n"
            f"POST: {posted}; {len(failed_posts)} not by a stop\n"
            f"{kills} kills; {len(twice)} executed twice; stopped {len(running.stops)} times\n"
            f"RSS {memory[0] / 1e6:.1f}, {settled / 1e6:.1f}, {memory[-1] / 1e6:.1f} MB",
            file=samples,
            flush=True,
        )
        explicit = all(each.how.startswith("502") for each in failed_posts)
        return 0 if flat and not failed and explicit and not twice else 1


def main() -> None:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[1])
    parser.add_argument("--minutes", type=float, default=Plan.minutes)
    parser.add_argument("--rate", type=float, default=Plan.rate)
    parser.add_argument("--every", type=float, default=Plan.every)
    parser.add_argument("--attack", type=float, default=Plan.attack)
    parser.add_argument("--samples", type=Path)
    sys.exit(soak(Plan(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
