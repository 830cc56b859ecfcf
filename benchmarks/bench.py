"""C{make bench}: small requests through subproxy and its peers, side by side.

Contenders run at once and are measured in turn, round after round. A summary
goes into C{docs/explanation/performance.md}, all tables into C{benchmarks/performance-tables.md}, a
plot beside these, raw figures into C{benchmarks/results/bench.json}.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from . import bench_report, machine, options
from .contenders import REFERENCE, USUAL, Contender, Server, for_requests, for_scale
from .figures import middle, rotated, select
from .measure import InvalidRun, Sample, idle_connections
from .rig import NotStarted, Rig, cpu_seconds, raise_descriptor_limit
from .scenarios import Runner

LATENCY_CONNECTIONS = 64
LATENCY_TURNS = 3
"""Times as many rounds of latencies: one stall of the machine is the last hundredth of a round."""
FLOOR = "floor"
"""What the machine and the load themselves keep waiting: it is in the latencies of all."""
PARTS = ("keepalive", "connect", "latency", "memory", "scale")
SATURATED = 0.9
"""A contender whose maximum is not above the common rate by this much has no latency there."""


def resting(server: Server, seconds: float = 4.0) -> float:
    """The share of a core that a server takes when nobody asks: pings, timers."""
    time.sleep(1.0)
    pids = server.pids()
    before, start = cpu_seconds(pids), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pids) - before) / (time.monotonic() - start)


class Bench:
    """One run of the benchmark: who is measured, how, and the samples that came of it."""

    def __init__(
        self, contenders: Sequence[Contender], connections: Sequence[int], settings: Any
    ) -> None:
        self.contenders = {contender.name: contender for contender in contenders}
        self.connections = list(connections)
        self.rounds: int = settings.rounds
        self.idle: int = settings.idle
        self.cores = options.cores(settings)
        self.parts: frozenset[str] = settings.parts
        self.runner = Runner(self.cores[1], settings.seconds)
        self.samples: list[Sample] = []
        self.memory: dict[str, dict[str, int]] = {}
        self.scale: list[Sample] = []
        self.resting: dict[str, float] = {}
        self.rates: dict[str, float] = {}
        self.problems: list[str] = []

    def begin_with(self, results: dict[str, Any]) -> None:
        """Has what was measured before; what is measured again takes the place of that."""
        for raw in results["samples"]:
            sample = Sample(**raw)
            part = sample.scenario if sample.scenario in PARTS else "latency"
            again = part in self.parts and sample.contender in self.contenders
            if part == "keepalive":
                again = again and sample.connections in self.connections
            if not again:
                self.samples.append(sample)
        self.rates = results["rates"]
        self.memory = results["memory"]
        if "scale" not in self.parts:
            self.scale = [Sample(**raw) for raw in results["scale"]]
            self.resting = results["resting"]

    def closes(self, name: str) -> bool:
        """Whether a contender closes its connections, so that none is kept."""
        return not self.contenders[name].keeps_connections

    def rig(self, name: str) -> Rig:
        """A place to start a contender in."""
        return Rig(name, *self.cores)

    def add(self, sample: Sample, to: list[Sample] | None = None) -> None:
        """Keeps a sample and tells of it."""
        (self.samples if to is None else to).append(sample)
        print(
            f"  round {sample.round + 1} {sample.scenario:12} {sample.connections:4} "
            f"{sample.contender:24} {sample.cpu_us:7.2f} µs  user {sample.user_us:6.2f}  "
            f"{sample.rate:9,.0f}/s  busy {sample.busy:4.2f}  p99 {sample.raw['p99_us']:9,.0f} µs",
            flush=True,
        )

    def measure(self) -> None:
        """Keep-alive, new connections and latency, interleaved, of all contenders."""
        with contextlib.ExitStack() as stack:
            servers: dict[str, Server] = {}
            for name, contender in self.contenders.items():
                try:
                    servers[name] = contender.start(stack.enter_context(self.rig(name)))
                except NotStarted as error:
                    self.problem(f"{name}: did not start: {error}")
            names = [name for name in self.contenders if name in servers]
            for turn in range(self.rounds):
                for connections in self.connections if "keepalive" in self.parts else ():
                    for name in rotated(names, turn):
                        self.attempt(
                            name,
                            lambda n=name, c=connections, t=turn: self.runner.keepalive(
                                n, servers[n], c, t, close=self.closes(n)
                            ),
                        )
                for name in rotated(names, turn) if "connect" in self.parts else ():
                    self.attempt(
                        name,
                        lambda n=name, t=turn: self.runner.connect(n, servers[n], 64, t),
                    )
            if "latency" in self.parts:
                self.measure_latency(servers, names)

    def attempt(self, name: str, measure: Any) -> None:
        """One measurement; an invalid one is a problem and gives no figure."""
        try:
            self.add(measure())
        except InvalidRun as error:
            self.problem(f"{name}: {error}")

    def problem(self, text: str) -> None:
        """Something that makes the whole run fail at its end."""
        self.problems.append(text)
        print(f"  PROBLEM {text}", flush=True)

    def maximum(self, name: str) -> float:
        """The greatest median rate of a contender over the numbers of connections."""
        samples = select(self.samples, name, "keepalive")
        rates = [
            middle([each for each in samples if each.connections == count], lambda each: each.rate)
            for count in {each.connections for each in samples}
        ]
        return max((rate for rate in rates if rate), default=0.0)

    def measure_latency(self, servers: dict[str, Server], names: Sequence[str]) -> None:
        """Latencies at half of the reference's maximum, and at half of the contender's own."""
        names = [
            n for n in names if (self.contenders[n].proxies or n == FLOOR) and not self.closes(n)
        ]
        self.rates = {name: self.maximum(name) / 2 for name in names if name != FLOOR}
        common = self.rates.get(REFERENCE, 0.0)
        for turn in range(self.rounds * LATENCY_TURNS):
            for name in rotated(names, turn):
                own = self.rates.get(name, 0.0)
                if common and (name == FLOOR or own * 2 * SATURATED > common):
                    self.attempt(
                        name,
                        lambda n=name, t=turn: self.runner.latency(
                            n, servers[n], LATENCY_CONNECTIONS, t, common, "common"
                        ),
                    )
                if own and name != REFERENCE:
                    self.attempt(
                        name,
                        lambda n=name, t=turn, r=own: self.runner.latency(
                            n, servers[n], LATENCY_CONNECTIONS, t, r, "own"
                        ),
                    )

    def measure_memory(self) -> None:
        """Resident memory, fresh and with many idle connections, one contender at a time."""
        for name, contender in self.contenders.items():
            if self.closes(name):
                continue
            try:
                with self.rig(name) as rig:
                    server = contender.start(rig)
                    # Warm: what the first connections allocate is not what an idle one costs.
                    self.runner.keepalive(name, server, 64, 0, close=self.closes(name))
                    self.memory[name] = idle_connections(
                        server.port, server.pids(), self.idle, self.cores[1]
                    )
            except (NotStarted, InvalidRun) as error:
                self.problem(f"{name}: idle connections: {error}")
            else:
                print(f"  idle {name:24} {self.memory[name]}", flush=True)

    def measure_scale(self, subscriptions: int, routes: int) -> None:
        """What many subscriptions and routes add to the cost of a request, pair by pair.

        Beside it, what the same adds at the kernel's floor, of which no two requests in a row have
        one guest either.
        """
        for reactor in ("io_uring", "compiled_epoll"):
            pairs = for_scale(subscriptions, routes, reactor)
            if pairs["subproxy"][0].name in self.contenders:
                break
        else:
            return
        try:
            with contextlib.ExitStack() as stack:
                servers = {
                    each.name: each.start(stack.enter_context(self.rig(each.name)))
                    for pair in pairs.values()
                    for each in pair
                }
                self.resting = {
                    each.name: resting(servers[each.name]) for each in pairs["subproxy"]
                }
                for turn in range(self.rounds):
                    for what, pair in pairs.items():
                        few, many = (each.name for each in pair)
                        self.add(self.runner.keepalive(few, servers[few], 64, turn), self.scale)
                        for hosts in (1, subscriptions) if what == "subproxy" else (subscriptions,):
                            self.add(
                                self.runner.keepalive(many, servers[many], 64, turn, hosts=hosts),
                                self.scale,
                            )
        except (NotStarted, InvalidRun) as error:
            self.problem(f"scale: {error}")


def parts(text: str) -> frozenset[str]:
    """The value of C{--parts}."""
    found = frozenset(text.split(","))
    if found - set(PARTS):
        raise argparse.ArgumentTypeError(f"parts are {', '.join(PARTS)}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 1 if any measurement was invalid."""
    parser = options.parser(__doc__.splitlines()[0], contenders=USUAL)
    parser.add_argument("--seconds", type=float, default=0.6, help="length of one measurement")
    parser.add_argument("--connections", default="1,8,64,256", help="numbers, with commas between")
    parser.add_argument(
        "--idle", type=int, default=10_000, help="idle connections; 0: not measured"
    )
    parser.add_argument(
        "--subscriptions", type=int, default=1000, help="of the scale scenario; 0: none"
    )
    parser.add_argument(
        "--parts",
        type=parts,
        default=",".join(PARTS),
        help="what to measure; latencies need the keep-alive figures",
    )
    settings = parser.parse_args(arguments)
    if settings.again:
        return show(json.loads(settings.again.read_text()), settings)
    contenders = options.choose(for_requests(), settings)
    descriptors = raise_descriptor_limit()
    if settings.idle > descriptors - 500:
        settings.idle = descriptors - 500
        print(
            f"only {settings.idle:,} idle connections: the limit of descriptors is {descriptors:,}"
        )
    facts = machine.describe()
    bench = Bench(contenders, options.integers(settings.connections), settings)
    before: dict[str, Any] = {}
    if settings.onto and settings.onto.exists():
        before = json.loads(settings.onto.read_text())
        if (before["machine"]["revision"], before["settings"]["rounds"]) != (
            facts["revision"],
            settings.rounds,
        ):
            raise SystemExit(f"{settings.onto} is of another revision, or of other rounds")
        bench.begin_with(before)
    with machine.common_congestion_control() as facts["congestion"]:
        if bench.parts & {"keepalive", "connect", "latency"}:
            bench.measure()
        if settings.idle and "memory" in bench.parts:
            bench.measure_memory()
        if settings.subscriptions and "scale" in bench.parts:
            bench.measure_scale(settings.subscriptions, 10)
    results: dict[str, Any] = {
        "machine": before.get("machine", facts),
        "settings": {
            "rounds": settings.rounds,
            "seconds": settings.seconds,
            "connections": sorted(
                {each.connections for each in bench.samples if each.scenario == "keepalive"}
            ),
            "idle": settings.idle,
            "subscriptions": settings.subscriptions,
        },
        "contenders": before.get("contenders", {})
        | {
            name: {
                "title": contender.title,
                "version": contender.version(),
                "proxies": contender.proxies,
            }
            for name, contender in bench.contenders.items()
        },
        "rates": bench.rates,
        "samples": [sample.to_json() for sample in bench.samples],
        "memory": bench.memory,
        "scale": [sample.to_json() for sample in bench.scale],
        "resting": bench.resting,
        "problems": bench.problems,
    }
    if settings.onto:
        if not bench.problems:
            settings.onto.parent.mkdir(parents=True, exist_ok=True)
            settings.onto.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        return int(bool(bench.problems))
    return show(results, settings)


def show(results: dict[str, Any], settings: argparse.Namespace) -> int:
    """Prints and publishes raw figures; the exit status."""
    report = bench_report.Report(results)
    print("\n" + report.markdown())
    write = functools.partial(bench_report.write, report)
    return options.publish("bench", results, settings, write)


if __name__ == "__main__":
    sys.exit(main())
