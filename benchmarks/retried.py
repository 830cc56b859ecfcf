"""
Requests that are tried again, beside HAProxy: C{python -m benchmarks.retried [--rounds N]}.

CPU of the proxy a request, where two are behind it, of which one fails one request in five, and so
about one in ten of all: what is behind HAProxy closes the connection without an answer (C{retry-on
empty-response}), a guest refuses. The same with none that fails, in the same round: the difference,
for one that is tried again, is printed too. Ratios to HAProxy are made pair by pair. Prints, and
writes nothing. Wants Debian's haproxy and gcc.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys

from .build import program
from .contenders import Server
from .contenders.haproxy import HAProxy
from .contenders.subproxy import Subproxy
from .interleaved import in_turn, spread
from .measure import Sample
from .rig import Rig, raise_descriptor_limit
from .scenarios import Runner

CORES = (0, 1)
ONE_IN = 5
SHARE = 10
"""One of so many is tried again: the other one fails none."""


class RetryingHAProxy(HAProxy):
    """HAProxy with two servers, one of which fails one request in so many; 0: none."""

    def __init__(self, one_in: int) -> None:
        super().__init__(f"haproxy-{one_in}")
        self._one_in = one_in

    def start(self, rig: Rig) -> Server:
        """See L{HAProxy}."""
        for name, one_in in (("one", self._one_in), ("two", 0)):
            rig.spawn([program("backend"), rig.path(f"{name}.sock"), str(one_in)])
            rig.wait_for_socket(f"{name}.sock")
        return super().start(rig)

    def configuration(self, rig: Rig, port: int) -> str:
        """See L{HAProxy}."""
        text = super().configuration(rig, port)
        servers = "".join(
            f"  server {name} unix@{rig.path(name)}.sock\n" for name in ("one", "two")
        )
        head, _, _ = text.partition("  server one")
        rules = "  retries 3\n  option redispatch 1\n  retry-on conn-failure empty-response\n"
        return f"{head}{rules}{servers}"


class RetryingSubproxy(Subproxy):
    """subproxy with two guests, one of which refuses one request in so many; 0: none."""

    def __init__(self, one_in: int) -> None:
        super().__init__("io_uring")
        self.name += f"-{one_in}"
        self._one_in = one_in

    def start(self, rig: Rig) -> Server:
        """See L{Subproxy}."""
        server = super().start(rig)
        rig.spawn([*super()._guest(f"{rig.path('vm.sock')}_12345"), "0", "other"])
        return server

    def _guest(self, where: str) -> list[str]:
        return [*super()._guest(where), str(self._one_in), "first"]


def main() -> int:
    """See above."""
    made = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--seconds", type=float, default=1.0)
    made.add_argument("--connections", type=int, default=64)
    options = made.parse_args()
    raise_descriptor_limit()
    runner = Runner(CORES[1], options.seconds)
    pairs = {
        each.name.rpartition("-")[0]: (each, other)
        for each, other in (
            (RetryingHAProxy(0), RetryingHAProxy(ONE_IN)),
            (RetryingSubproxy(0), RetryingSubproxy(ONE_IN)),
        )
    }
    found: dict[str, list[tuple[Sample, Sample]]] = {name: [] for name in pairs}
    with contextlib.ExitStack() as stack:
        servers: dict[str, list[Server]] = {
            name: [each.start(stack.enter_context(Rig(each.name, *CORES))) for each in pair]
            for name, pair in pairs.items()
        }
        for turn, name in in_turn(servers, options.rounds):
            well, ill = (
                runner.keepalive(name, server, options.connections, turn)
                for server in servers[name]
            )
            found[name].append((well, ill))
    base = next(iter(found.values()))
    for name, samples in found.items():
        ratios = spread(a.cpu_us / b.cpu_us for (_, a), (_, b) in zip(samples, base, strict=True))
        middle = statistics.median(ill.cpu_us for _, ill in samples)
        retry = statistics.median(SHARE * (ill.cpu_us - well.cpu_us) for well, ill in samples)
        print(
            f"{name}: {middle:.1f} us of CPU a request, of which one in {SHARE} is tried again "
            f"({ratios}); {retry:.0f} us more for one that is",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
