"""
What many guests that are asked in turn cost: C{python -m benchmarks.guests [--rounds N]}.

CPU of the proxy a request, 64 clients: of one guest, and of so many with ten routes each, whose
hosts are asked one after the other. Beside it the kernel's floor of the same: each request a frame
to the next guest, whose answer is its own (C{native/guest_floor.c}). Rounds are interleaved, ratios
of many to one are made pair by pair. Prints, and writes nothing. Wants gcc.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys

from .contenders import Server, for_scale
from .interleaved import in_turn, spread
from .measure import Sample
from .rig import Rig, raise_descriptor_limit
from .scenarios import Runner

CORES = (0, 1)
ROUTES = 10


def main() -> int:
    """See above."""
    made = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--seconds", type=float, default=0.6)
    made.add_argument("--guests", type=int, default=1000)
    options = made.parse_args()
    raise_descriptor_limit()
    many = options.guests
    runner = Runner(CORES[1], options.seconds)
    pairs = for_scale(many, ROUTES)
    found: dict[str, list[tuple[Sample, Sample]]] = {name: [] for name in pairs}
    with contextlib.ExitStack() as stack:
        servers: dict[str, list[Server]] = {
            name: [each.start(stack.enter_context(Rig(each.name, *CORES))) for each in pair]
            for name, pair in pairs.items()
        }
        for turn, name in in_turn(servers, options.rounds):
            few, all_of_them = servers[name]
            found[name].append(
                (
                    runner.keepalive(name, few, 64, turn),
                    runner.keepalive(name, all_of_them, 64, turn, hosts=many),
                )
            )
    for name, samples in found.items():
        ratios = spread(b.cpu_us / a.cpu_us for a, b in samples)
        one = statistics.median(a.cpu_us for a, _ in samples)
        every = statistics.median(b.cpu_us for _, b in samples)
        print(
            f"{name}: {one:.2f} us of CPU a request of one guest, {every:.2f} of {many:,} in turn "
            f"({ratios})",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
