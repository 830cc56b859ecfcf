"""Is this tree slower than another one? C{python -m benchmarks.against CHECKOUT}.

CHECKOUT is another checkout with its virtual environment in C{.venv} and its extensions built. Both
proxies are up at once, with equal guests, and are measured in turn. Processes are started
anew several times, because two of one code differ by some percent. The figure is the median of
the ratios of pairs: of the same processes, in the same round.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from . import machine
from .build import ROOT
from .contenders import Server
from .contenders.subproxy import Subproxy
from .measure import Sample
from .options import cores, integers
from .rig import Rig, raise_descriptor_limit
from .scenarios import Runner

OURS, OTHER = "this", "other"


def ratios(pairs: Sequence[tuple[Sample, Sample]]) -> list[float]:
    """CPU time a request, ours by the other's, of each pair."""
    return [ours.cpu_us / other.cpu_us for ours, other in pairs]


def told(ours: str, connections: int, pairs: Sequence[tuple[Sample, Sample]]) -> str:
    """A line of what was measured at one number of connections."""
    found = sorted(ratios(pairs))
    here = statistics.median(sample.cpu_us for sample, _ in pairs)
    there = statistics.median(sample.cpu_us for _, sample in pairs)
    return (
        f"{ours}, {connections} connections: {here:.2f} and {there:.2f} us a request; "
        f"median of {len(found)} pairs {statistics.median(found):.3f} "
        f"({found[0]:.3f} to {found[-1]:.3f})"
    )


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", type=Path, help="the other tree")
    parser.add_argument("--processes", type=int, default=5, help="how often they are started")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one measurement")
    parser.add_argument("--connections", type=integers, default=[8, 64])
    parser.add_argument("--reactor", default="io_uring")
    parser.add_argument("--no-fastpath", action="store_true", help="the Python path alone")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    options = parser.parse_args()
    raise_descriptor_limit()
    print(f"{machine.processor()}, of {machine.revision()}", flush=True)
    contenders = {
        OURS: Subproxy(options.reactor, fastpath=not options.no_fastpath, checkout=ROOT),
        OTHER: Subproxy(
            options.reactor, fastpath=not options.no_fastpath, checkout=options.checkout.resolve()
        ),
    }
    runner = Runner(cores(options)[1], options.seconds)
    pairs: dict[int, list[tuple[Sample, Sample]]] = {each: [] for each in options.connections}
    for process in range(options.processes):
        with contextlib.ExitStack() as stack:
            servers: dict[str, Server] = {}
            # Who is started first has the better memory, or the worse.
            order = [OURS, OTHER] if process % 2 else [OTHER, OURS]
            for name in order:
                rig = stack.enter_context(Rig(name, *cores(options)))
                servers[name] = contenders[name].start(rig)
            for turn in range(options.rounds):
                for connections in options.connections:
                    samples = {
                        name: runner.keepalive(name, servers[name], connections, turn)
                        for name in (order if turn % 2 else order[::-1])
                    }
                    pairs[connections].append((samples[OURS], samples[OTHER]))
        for connections, found in pairs.items():
            print(told(contenders[OURS].title, connections, found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
