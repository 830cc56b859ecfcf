#!/usr/bin/env python3
"""What two workers cost beside one, and how soon a worker is replaced; print both.

    python benchmarks/workers.py [--rounds 5] [--seconds 2] [--connections 64,256] [--kills 10]
        [--bodies 1M,64M]

A guest of ours subscribes with each worker. One that knows nothing of workers, which is
C{native/guest.c}, has one subscription: half of the clients are at the other worker, and reach it
through the first. wrk asks a proxy with one worker and one with two, in turns, all on one core;
what is printed is the median of CPU microseconds a request, of all processes of a proxy, and of
the ratios within a round. A worker is killed; from then until the next one of its slot serves is
its time, and what that has taken by then its CPU. TCP is by the kernel's common congestion control:
see L{machine}.

With C{--bodies} the guest is C{native/bulk_guest.c}, of one subscription, and bodies of these sizes
are moved by 32 clients, about half of which are at the worker with the guest: milliseconds of CPU a
body.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import machine
from benchmarks.build import program
from benchmarks.measure import command_line, run
from benchmarks.rig import HOST, Rig, cpu_seconds, descendants, free_port, wait_until, wrk
from benchmarks.tables import size_of

ROOT = Path(__file__).resolve().parent.parent
TWISTD = str(Path(sys.executable).parent / "twistd")
SERVES = re.compile(r"worker (\d+) serves: process (\d+)")
GUESTS = ("ours", "of one subscription")
BULK = "for bodies"
CLIENTS = 32


class WorkersProxy:
    """A proxy with so many workers, and a guest."""

    def __init__(self, rig: Rig, workers: int, guest: str) -> None:
        name = f"{workers}-{guest.replace(' ', '-')}"
        self.port = free_port()
        self._log = Path(rig.path(f"{name}.log"))
        vsock = rig.path(f"{name}.sock")
        command = [TWISTD, "-n", "--pidfile=", f"--logfile={self._log}", "subproxy"]
        command += [f"--http=tcp:{self.port}:interface=127.0.0.1", f"--vsock={vsock}"]
        command += [f"--workers={workers}", f"--access-log={rig.path(name)}.access"]
        self.process = rig.spawn(command, counted=True)
        wait_until(lambda: Path(f"{vsock}_12345").exists(), "it listens")
        if guest == GUESTS[0]:
            words = [sys.executable, "-m", "guest", f"--proxy=unix:{vsock}_12345"]
            words += [f"--host={re.escape(HOST)}", "hello:Hello"]
        elif guest == BULK:
            words = [program("bulk_guest"), f"{vsock}_12345", HOST]
        else:
            words = [program("guest"), f"{vsock}_12345", HOST, "1", "1"]
        rig.spawn(words, env={"PYTHONPATH": f"{ROOT}:{ROOT / 'examples'}"})
        rig.wait_for_answer(self.port)
        time.sleep(1)  # until all workers have heard of it

    def ask(self, seconds: float, connections: int) -> float:
        """Microseconds of CPU a request."""
        pids = descendants(self.process.pid)
        before = cpu_seconds(pids)
        count = wrk(self.port, HOST, 1, seconds, connections)
        return (cpu_seconds(pids) - before) / count * 1e6

    def move(self, size: int, upload: bool) -> float:
        """Milliseconds of CPU a body of C{size}."""
        count = max(CLIENTS, (256 << 20) // size // CLIENTS * CLIENTS)
        pids = descendants(self.process.pid)
        command = command_line(
            "transfer", self.port, pids, clients=CLIENTS, transfers=count, size=size, upload=upload
        )
        return float(run(command, 1, seconds=100)["cpu_ns"]) / count / 1e6

    def _pid(self, slot: str = "0") -> int:
        return int(dict(SERVES.findall(self._log.read_text()))[slot])

    def replace(self) -> tuple[float, float]:
        """Kill a worker; seconds until the next one serves, and CPU seconds of that."""
        before = self._pid()
        began = time.monotonic()
        os.kill(before, signal.SIGKILL)
        while (pid := self._pid()) == before:
            time.sleep(0.001)
        return time.monotonic() - began, cpu_seconds([pid])


def print_bodies(rig: Rig, sizes: str, rounds: int) -> None:
    """Move bodies with one worker, and with two, in turns."""
    one, two = WorkersProxy(rig, 1, BULK), WorkersProxy(rig, 2, BULK)
    middle = statistics.median
    for text in sizes.split(","):
        for upload in (False, True):
            rows = [
                [each.move(size_of(text), upload) for each in (one, two)] for _ in range(rounds)
            ]
            single, both = (middle(row[at] for row in rows) for at in (0, 1))
            print(
                f"{'upload' if upload else 'download'} of {text}: one worker {single:.2f} ms of "
                f"CPU, two {both:.2f} ({both / single:.1f} times)",
                flush=True,
            )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--connections", default="64,256")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--bodies", default="", help="sizes")
    asked = parser.parse_args()
    middle = statistics.median
    with machine.common_congestion_control(), Rig("workers", 0, 1) as rig:
        if asked.bodies:
            print_bodies(rig, asked.bodies, asked.rounds)
            return
        for guest in GUESTS:
            one, two = WorkersProxy(rig, 1, guest), WorkersProxy(rig, 2, guest)
            for connections in map(int, asked.connections.split(",")):
                pairs = [
                    (one.ask(asked.seconds, connections), two.ask(asked.seconds, connections))
                    for _ in range(asked.rounds)
                ]
                ratios = sorted(both / single for single, both in pairs)
                print(
                    f"a guest {guest}, {connections} connections: one worker "
                    f"{middle(pair[0] for pair in pairs):.1f} us a request, two "
                    f"{middle(pair[1] for pair in pairs):.1f}; {middle(ratios):.2f} times as much "
                    f"({ratios[0]:.2f} to {ratios[-1]:.2f})",
                    flush=True,
                )
        ends = []
        for _ in range(asked.kills):
            ends.append(two.replace())
            time.sleep(1.2)  # one that dies at once again and again waits
        took, cpu = (sorted(each) for each in zip(*ends, strict=True))
        print(
            f"a worker is replaced within {middle(took) * 1e3:.0f} ms "
            f"({took[-1] * 1e3:.0f} at most), "
            f"for {middle(cpu) * 1e3:.0f} ms of CPU ({cpu[-1] * 1e3:.0f} at most)"
        )


if __name__ == "__main__":
    main()
