"""C{make bench-bodies}: large bodies through subproxy, HAProxy and nginx, side by side.

Downloads and uploads of some sizes at some numbers of clients, interleaved; and what 16 transfers
do to the latency of small requests. A summary goes into
C{docs/explanation/performance.md}, all tables into C{benchmarks/performance-tables.md}, raw figures
into C{benchmarks/results/bodies.json}.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import bodies_report, machine, options
from .contenders import USUAL_OF_BODIES, Contender, Server, for_bodies
from .figures import rotated
from .measure import InvalidRun, Sample, command_line, pinned, prefer, run
from .rig import NotStarted, Rig, raise_descriptor_limit
from .tables import size_of

SIZES = "64K,256K,1M,64M,1G"
LEAST_BYTES = 1 << 30
"""A measurement moves at least so much, and at least one body for each client."""
MOST_TRANSFERS = 8192
SLOWEST = 50e6
"""Bytes a second below which a measurement is given up."""
QUIET_RATE = 1000
QUIET_CONNECTIONS = 8
BUSY_TRANSFERS = 16
BUSY_SIZE = 64 << 20
DIRECTIONS = ("download", "upload")
FIRST, BEHIND, LAST = -20, -10, 19
"""Niceness on the load's core of the small load, what is behind the proxies, and the transfers."""


def transfers_for(size: int, clients: int, least: int = LEAST_BYTES) -> int:
    """How many bodies of a size one measurement moves: a multiple of the clients."""
    wanted = min(MOST_TRANSFERS, max(1, -(-least // size)))
    return -(-wanted // clients) * clients


def transferred(
    name: str,
    server: Server,
    direction: str,
    size: int,
    clients: int,
    turn: int,
    *,
    core: int,
    least: int = LEAST_BYTES,
) -> Sample:
    """Moves so many bodies from C{core}, and measures. Raises L{InvalidRun}."""
    transfers = transfers_for(size, clients, least)
    command = command_line(
        "transfer",
        server.port,
        server.pids(),
        clients=clients,
        transfers=transfers,
        size=size,
        upload=direction == "upload",
    )
    raw = {**run(command, core, seconds=60 + transfers * size / SLOWEST), "size": size}
    return Sample(name, f"{direction}-{size}", clients, turn, raw)


class Bodies:
    """One run: who is measured, how, and the samples that came of it."""

    def __init__(self, contenders: Sequence[Contender], settings: argparse.Namespace) -> None:
        self.contenders = {contender.name: contender for contender in contenders}
        self.rounds: int = settings.rounds
        self.sizes = [size_of(text) for text in settings.sizes.split(",") if text]
        self.clients = options.integers(settings.clients)
        self.directions = [each for each in DIRECTIONS if each in settings.directions.split(",")]
        self.seconds: float = settings.seconds
        self.least = size_of(settings.least)
        self.cores = options.cores(settings)
        self.samples: list[Sample] = []
        self.problems: list[str] = []

    def measure(self) -> None:
        """All cells of the tables, round after round."""
        with contextlib.ExitStack() as stack:
            servers: dict[str, Server] = {}
            for name, contender in self.contenders.items():
                try:
                    servers[name] = contender.start(stack.enter_context(Rig(name, *self.cores)))
                except NotStarted as error:
                    self.problem(f"{name}: did not start: {error}")
            names = list(servers)
            for turn in range(self.rounds):
                for direction in self.directions:
                    for size in self.sizes:
                        for clients in self.clients:
                            for name in rotated(names, turn):
                                self.transfer(name, servers[name], direction, size, clients, turn)
                    if self.seconds:
                        for name in rotated(names, turn):
                            self.fairness(name, servers[name], direction, turn)

    def transfer(
        self, name: str, server: Server, direction: str, size: int, clients: int, turn: int
    ) -> None:
        """One cell, once."""
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if name == "nginx" and direction == "upload" and 2 * size * clients > free:
            # It keeps whole uploads in files before it passes them on.
            print(f"  {name}: no room for {clients} uploads of {size} bytes", flush=True)
            return
        core, least = self.cores[1], self.least
        try:
            sample = transferred(
                name, server, direction, size, clients, turn, core=core, least=least
            )
        except InvalidRun as error:
            self.problem(f"{name}: {error}")
            return
        self.samples.append(sample)
        print(
            f"  round {turn + 1} {direction:8} {size:11} bytes {clients:3} clients {name:20} "
            f"{sample.cpu_seconds_per_gb:6.3f} CPU s/GB  {sample.gb_per_second:6.2f} GB/s  "
            f"busy {sample.busy:4.2f}",
            flush=True,
        )

    def fairness(self, name: str, server: Server, direction: str, turn: int) -> None:
        """Latency of small requests at a constant rate, quiet and beside 16 transfers.

        On the load's core the small load goes before the backend, and that before the transfers'
        client, where the system allows that: what is wanted is what the proxy makes small requests
        wait, not the queue for that core.
        """
        small = command_line(
            "load",
            server.port,
            server.pids(),
            connections=QUIET_CONNECTIONS,
            rate=QUIET_RATE,
            seconds=self.seconds,
        )
        large = command_line(
            "transfer",
            server.port,
            [],
            clients=BUSY_TRANSFERS,
            size=BUSY_SIZE,
            upload=direction == "upload",
            **{"for": self.seconds + 1.0},
        )
        core = self.cores[1]
        for pid in server.behind():
            prefer(pid, BEHIND)
        try:
            quiet = run(small, core, seconds=self.seconds + 30, niceness=FIRST)
            with subprocess.Popen(
                large,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=pinned(core, niceness=LAST),  # noqa: PLW1509 (no threads here)
            ) as transfers:
                try:
                    busy = run(small, core, seconds=self.seconds + 30, niceness=FIRST)
                    said, wrong = transfers.communicate(timeout=120)
                finally:
                    transfers.kill()
            if transfers.returncode:
                raise InvalidRun(f"transfers beside small requests: {wrong}")
        except (InvalidRun, subprocess.TimeoutExpired) as error:
            self.problem(f"{name}: {error}")
            return
        finally:
            for pid in server.behind():
                prefer(pid, 0)
        moved = json.loads(said)
        rate = moved["bytes"] / moved["seconds"] / 1e9
        for scenario, raw in ((f"quiet-{direction}", quiet), (f"busy-{direction}", busy)):
            raw["beside_gb_per_second"] = rate if scenario.startswith("busy") else 0.0
            self.samples.append(Sample(name, scenario, QUIET_CONNECTIONS, turn, raw))
        print(
            f"  round {turn + 1} small requests beside {direction}s {name:20} "
            f"p99 {quiet['p99_us']:8,.0f} quiet, {busy['p99_us']:8,.0f} µs busy, {rate:.2f} GB/s",
            flush=True,
        )

    def problem(self, text: str) -> None:
        """Something that makes the whole run fail at its end."""
        self.problems.append(text)
        print(f"  PROBLEM {text}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 1 if any measurement was invalid."""
    parser = options.parser((__doc__ or "").splitlines()[0], contenders=USUAL_OF_BODIES)
    parser.add_argument("--sizes", default=SIZES, help="of bodies, with commas between")
    parser.add_argument("--directions", default=",".join(DIRECTIONS), help="likewise")
    parser.add_argument("--clients", default="1,16", help="numbers, with commas between")
    parser.add_argument("--seconds", type=float, default=2.0, help="of small requests; 0: none")
    parser.add_argument("--least", default="1G", help="bytes that a measurement moves at least")
    settings = parser.parse_args(arguments)
    if settings.again:
        return show(json.loads(settings.again.read_text()), settings)
    contenders = options.choose(for_bodies(), settings)
    raise_descriptor_limit()
    facts = machine.describe()
    bodies = Bodies(contenders, settings)
    with (
        machine.common_congestion_control() as facts["congestion"],
        machine.large_pages() as facts["pages"],
    ):
        bodies.measure()
    results: dict[str, Any] = {
        "machine": facts,
        "settings": {
            "rounds": settings.rounds,
            "sizes": bodies.sizes,
            "clients": bodies.clients,
            "seconds": settings.seconds,
            "rate": QUIET_RATE,
        },
        "contenders": {
            name: {"title": contender.title, "version": contender.version()}
            for name, contender in bodies.contenders.items()
        },
        "samples": [sample.to_json() for sample in bodies.samples],
        "problems": bodies.problems,
    }
    if settings.onto:
        return keep(results, settings.onto)
    return show(results, settings)


def keep(results: dict[str, Any], path: Path) -> int:
    """Adds the figures of a piece to those of earlier ones, of the same revision; exit status."""
    if results["problems"]:
        return 1
    if path.exists():
        results = joined(json.loads(path.read_text()), results)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    return 0


def joined(whole: dict[str, Any], piece: dict[str, Any]) -> dict[str, Any]:
    """Two runs as one. Raises ValueError if they are of different revisions or machines."""
    for fact in ("revision", "kernel", "processor", "congestion", "pages"):
        was, now = (run["machine"].get(fact) for run in (whole, piece))
        if was != now:
            raise ValueError(f"another {fact}: {was}, {now}")
    settings = dict(whole["settings"])
    for key in ("sizes", "clients"):
        settings[key] = sorted({*settings[key], *piece["settings"][key]})
    for key in ("rounds", "seconds"):
        settings[key] = max(settings[key], piece["settings"][key])
    return {
        **whole,
        "settings": settings,
        "contenders": {**whole["contenders"], **piece["contenders"]},
        "samples": whole["samples"] + piece["samples"],
    }


def show(results: dict[str, Any], settings: argparse.Namespace) -> int:
    """Prints and publishes raw figures; the exit status."""
    report = bodies_report.Report(results)
    print("\n" + report.markdown())
    write = functools.partial(bodies_report.write, report)
    return options.publish("bodies", results, settings, write)


if __name__ == "__main__":
    sys.exit(main())
