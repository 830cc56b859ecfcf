"""Is this tree slower than another one? C{python -m benchmarks.against CHECKOUT [--bodies]}.

CHECKOUT is another checkout with its virtual environment in C{.venv} and its extensions built. Both
proxies are up at once, with equal guests, and are measured in turn: small requests, or bodies of
some sizes both ways. Processes are started anew several times, because two of one code differ by
some percent. The figure is the median of the ratios of pairs: of the same processes, in the same
round.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import machine
from .bodies import DIRECTIONS, transferred
from .build import ROOT
from .contenders import Server
from .contenders.subproxy import Subproxy
from .measure import Sample
from .options import cores, integers
from .rig import Rig, raise_descriptor_limit
from .scenarios import Runner
from .tables import size_of

OURS, OTHER = "this", "other"


@dataclass(frozen=True)
class Cell:
    """One thing that is measured of both: how, and the figure of it, less being better."""

    title: str
    unit: str
    measure: Callable[[str, Server, int], Sample]
    figure: Callable[[Sample], float]

    def ratios(self, pairs: Sequence[tuple[Sample, Sample]]) -> list[float]:
        """Our figure by the other's, of each pair."""
        return [self.figure(ours) / self.figure(other) for ours, other in pairs]

    def told(self, pairs: Sequence[tuple[Sample, Sample]]) -> str:
        """A line of what was measured."""
        found = sorted(self.ratios(pairs))
        here = statistics.median(self.figure(sample) for sample, _ in pairs)
        there = statistics.median(self.figure(sample) for _, sample in pairs)
        return (
            f"{self.title}: {here:.3f} and {there:.3f} {self.unit}; "
            f"median of {len(found)} pairs {statistics.median(found):.3f} "
            f"({found[0]:.3f} to {found[-1]:.3f})"
        )


def requests(runner: Runner, connections: int) -> Cell:
    """Small requests on so many keep-alive connections."""
    return Cell(
        f"{connections} connections",
        "us of CPU a request",
        lambda name, server, turn: runner.keepalive(name, server, connections, turn),
        lambda sample: sample.cpu_us,
    )


def bodies(direction: str, size: str, clients: int, core: int, least: int) -> Cell:
    """Bodies of one size in one direction."""
    count = size_of(size)
    return Cell(
        f"{direction} of {size}, {clients} clients",
        "CPU s/GB",
        lambda name, server, turn: transferred(
            name, server, direction, count, clients, turn, core=core, least=least
        ),
        lambda sample: sample.cpu_seconds_per_gb,
    )


def cells(options: argparse.Namespace) -> Iterator[Cell]:
    """What the command line asks for."""
    core = cores(options)[1]
    if not options.bodies:
        runner = Runner(core, options.seconds)
        for connections in options.connections:
            yield requests(runner, connections)
        return
    for direction in DIRECTIONS:
        for size in options.sizes.split(","):
            for clients in options.clients:
                yield bodies(direction, size, clients, core, size_of(options.least))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("checkout", type=Path, help="the other tree")
    made.add_argument("--processes", type=int, default=5, help="how often they are started")
    made.add_argument("--rounds", type=int, default=5, help="rounds of each")
    made.add_argument("--seconds", type=float, default=1.0, help="of one measurement of requests")
    made.add_argument("--connections", type=integers, default=[8, 64])
    made.add_argument("--bodies", action="store_true", help="bodies in the place of requests")
    made.add_argument("--sizes", default="64K,1M,64M", help="of bodies")
    made.add_argument("--clients", type=integers, default=[1, 16], help="that move them")
    made.add_argument("--least", default="1G", help="bytes that a measurement moves at least")
    made.add_argument("--reactor", default="io_uring")
    made.add_argument("--no-fastpath", action="store_true", help="the Python path alone")
    made.add_argument("--sites", type=int, default=0, help="[[site]] tables that this tree has")
    made.add_argument("--operator", action="store_true", help="this tree has what operators use")
    made.add_argument("--traces", type=float, help="this tree follows traces, and samples so many")
    made.add_argument("--server-core", type=int, default=0)
    made.add_argument("--load-core", type=int, default=1)
    return made


def main() -> int:
    """See above."""
    options = parser().parse_args()
    raise_descriptor_limit()
    print(f"{machine.processor()}, of {machine.revision()}", flush=True)
    contenders = {
        name: Subproxy(
            options.reactor,
            fastpath=not options.no_fastpath,
            bodies=options.bodies,
            sites=options.sites if name == OURS else 0,
            operator=options.operator and name == OURS,
            traces=options.traces if name == OURS else None,
            checkout=checkout,
        )
        for name, checkout in ((OURS, ROOT), (OTHER, options.checkout.resolve()))
    }
    print(contenders[OURS].title, flush=True)
    found: dict[Cell, list[tuple[Sample, Sample]]] = {cell: [] for cell in cells(options)}
    with machine.common_congestion_control(), machine.large_pages():
        for process in range(options.processes):
            with contextlib.ExitStack() as stack:
                # Who is started first has the better memory, or the worse.
                order = [OURS, OTHER] if process % 2 else [OTHER, OURS]
                servers: dict[str, Server] = {}
                for name in order:
                    rig = stack.enter_context(Rig(name, *cores(options)))
                    servers[name] = contenders[name].start(rig)
                for turn in range(options.rounds):
                    for cell, pairs in found.items():
                        samples = {
                            name: cell.measure(name, servers[name], turn)
                            for name in (order if turn % 2 else order[::-1])
                        }
                        pairs.append((samples[OURS], samples[OTHER]))
            for cell, pairs in found.items():
                print(cell.told(pairs), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
