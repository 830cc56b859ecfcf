"""What does a start cost? C{python -m benchmarks.start [CHECKOUT] [--rounds N]}.

CPU time of the proxy from its command to the first answer of a guest in C, and its resident memory
then; with C{--warm}, when it has served 64 connections for two seconds. With CHECKOUT, another tree
as in L{benchmarks.against}, both are started in turn, and the ratio is the median of the pairs. The
first round is not counted: it compiles the modules, and fills the caches of the disk.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import machine
from .build import ROOT
from .contenders.subproxy import Subproxy
from .options import cores
from .rig import Rig, cpu_seconds, resident_bytes
from .scenarios import Runner

OURS, OTHER = "this", "other"
WARM = 2.0


@dataclass(frozen=True)
class Start:
    """
    One start.

    @ivar cpu: seconds.
    @ivar resident: bytes.
    """

    cpu: float
    resident: int


def started(contender: Subproxy, name: str, where: tuple[int, int], warm: bool) -> Start:
    """Starts a proxy, and ends it once it has answered, and served if it is to be warm."""
    with Rig(name, *where) as rig:
        server = contender.start(rig)
        pids = server.pids()
        cpu = cpu_seconds(pids)
        if warm:
            Runner(where[1], WARM).keepalive(name, server, 64, 0)
        return Start(cpu, resident_bytes(pids))


def told(reactor: str, found: dict[str, list[Start]]) -> str:
    """A line of what was measured on one reactor."""
    parts = [reactor]
    for name, starts in found.items():
        cpu = [each.cpu for each in starts]
        megabytes = statistics.median(each.resident for each in starts) / 1e6
        parts.append(
            f"{name} {statistics.median(cpu):.3f} s ({min(cpu):.3f} to {max(cpu):.3f}), "
            f"{megabytes:.1f} MB"
        )
    if OTHER in found:
        ratios = sorted(a.cpu / b.cpu for a, b in zip(found[OURS], found[OTHER], strict=True))
        parts.append(f"pairs {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")
    return "; ".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """See above."""
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("checkout", type=Path, nargs="?", help="another tree")
    made.add_argument("--rounds", type=int, default=9)
    made.add_argument("--reactors", default="io_uring,compiled_epoll")
    made.add_argument("--server-core", type=int, default=0)
    made.add_argument("--load-core", type=int, default=1)
    made.add_argument("--warm", action="store_true", help="memory after two seconds of requests")
    made.add_argument("--run", action="store_true", help="this tree by subproxy run, not twistd")
    options = made.parse_args(arguments)
    # Else the sources would be compiled at each start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    trees = {OURS: ROOT} | ({OTHER: options.checkout.resolve()} if options.checkout else {})
    print(f"{machine.processor()}, of {machine.revision()}", flush=True)
    for reactor in options.reactors.split(","):
        found: dict[str, list[Start]] = {name: [] for name in trees}
        for turn in range(options.rounds + 1):
            for name in trees if turn % 2 else reversed(trees):
                run = options.run and name == OURS
                contender = Subproxy(reactor, checkout=trees[name], run=run)
                start = started(contender, name, cores(options), options.warm)
                if turn:
                    found[name].append(start)
        print(told(reactor, found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
