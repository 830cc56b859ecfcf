"""
New connections beside idle ones: C{python -m benchmarks.newcomers [--rate N] [--idle N]}.

So many connections a second, each with one GET, beside idle keep-alive connections that have asked
once: the latency of the GET from the moment when its connection was due (C{native/load.c}), and the
CPU time of it. All servers are up at once with their idle connections, rounds are interleaved,
ratios to nginx made pair by pair. Prints, and writes nothing. Wants Debian's nginx-light and gcc.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
from collections.abc import Iterator

from .contenders import Server
from .contenders.nginx import Nginx
from .contenders.subproxy import Subproxy
from .interleaved import in_turn, spread
from .measure import InvalidRun, Sample, command_line, pinned, run
from .rig import Rig, raise_descriptor_limit

CORES = (0, 1)
ABREAST = 512
"""Connections under way at a time, at most."""


@contextlib.contextmanager
def idle(server: Server, count: int) -> Iterator[None]:
    """So many connections that have asked once, and stay."""
    command = command_line("load", server.port, [], idle=True, connections=count)
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=pinned(CORES[1]),  # noqa: PLW1509 (no threads here)
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline().split()
        if said[1:] != ["0", "0"]:
            raise InvalidRun(f"{' '.join(command)}: {said}")
        yield
        process.communicate(timeout=30)


def newcomers(name: str, server: Server, turn: int, rate: int, seconds: float) -> Sample:
    """One measurement."""
    command = command_line(
        "load",
        server.port,
        server.pids(),
        connections=ABREAST,
        seconds=seconds,
        warm=0.3,
        close=True,
        rate=str(rate),
    )
    return Sample(name, "newcomers", ABREAST, turn, run(command, CORES[1], seconds=seconds + 60))


def main() -> int:
    """See above."""
    made = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    made.add_argument("--rounds", type=int, default=7)
    made.add_argument("--seconds", type=float, default=1.5)
    made.add_argument("--rate", type=int, default=10_000)
    made.add_argument("--idle", type=int, default=10_000)
    options = made.parse_args()
    raise_descriptor_limit()
    contenders = (Nginx(), Subproxy("io_uring"), Subproxy("compiled_epoll"))
    found: dict[str, list[Sample]] = {each.name: [] for each in contenders}
    with contextlib.ExitStack() as stack:
        servers = {}
        for each in contenders:
            server = each.start(stack.enter_context(Rig(each.name, *CORES)))
            stack.enter_context(idle(server, options.idle))
            servers[each.name] = server
        for turn, name in in_turn(servers, options.rounds):
            sample = newcomers(name, servers[name], turn, options.rate, options.seconds)
            found[name].append(sample)
    base = found[contenders[0].name]
    for name, samples in found.items():
        told = []
        for what in ("p50_us", "p99_us"):
            ratios = spread(a.raw[what] / b.raw[what] for a, b in zip(samples, base, strict=True))
            middle = statistics.median(each.raw[what] for each in samples)
            told.append(f"{what[:3]} {middle:,.0f} us ({ratios})")
        cpu = statistics.median(each.cpu_us for each in samples)
        rate = statistics.median(each.rate for each in samples)
        print(f"{name}: {'; '.join(told)}; {cpu:.1f} us of CPU; {rate:,.0f} a second", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
