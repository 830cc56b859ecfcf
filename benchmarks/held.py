"""
Requests that wait for their turn, beside HAProxy: C{python -m benchmarks.held [--rounds N]}.

CPU of the proxy a request, where those behind it take so many at a time and more clients ask: each
waits in the proxy, a moment. HAProxy has C{maxconn} for its server, subproxy a policy that grants
its guest as many C{exchanges}. Rounds are interleaved, ratios to HAProxy made pair by pair. Prints,
and writes nothing. Wants Debian's haproxy and gcc.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys

from .contenders import Server
from .contenders.haproxy import HAProxy
from .contenders.subproxy import Subproxy
from .interleaved import in_turn, spread
from .measure import Sample
from .rig import HOST, Rig, raise_descriptor_limit
from .scenarios import Runner

CORES = (0, 1)
AT_ONCE = 8


class QueueingHAProxy(HAProxy):
    """HAProxy, whose server takes a few requests at a time."""

    def configuration(self, rig: Rig, port: int) -> str:
        """See L{HAProxy}."""
        text = super().configuration(rig, port)
        return text.replace("/backend.sock\n", f"/backend.sock maxconn {AT_ONCE}\n")


class QueueingSubproxy(Subproxy):
    """subproxy, whose guest is granted a few requests at a time."""

    def options(self, rig: Rig) -> list[str]:
        """See L{Subproxy}."""
        policy = f'[[guest]]\nidentity = "*"\nhosts = "{HOST}"\nexchanges = {AT_ONCE}\n'
        return [*super().options(rig), f"--policy={rig.write('policy.toml', policy)}"]


def main() -> int:
    """See above."""
    made = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--seconds", type=float, default=1.0)
    made.add_argument("--connections", type=int, default=64)
    options = made.parse_args()
    raise_descriptor_limit()
    contenders = (QueueingHAProxy(), QueueingSubproxy("io_uring"))
    found: dict[str, list[Sample]] = {each.name: [] for each in contenders}
    runner = Runner(CORES[1], options.seconds)
    with contextlib.ExitStack() as stack:
        servers: dict[str, Server] = {}
        for each in contenders:
            servers[each.name] = each.start(stack.enter_context(Rig(each.name, *CORES)))
        for turn, name in in_turn(servers, options.rounds):
            sample = runner.keepalive(name, servers[name], options.connections, turn)
            found[name].append(sample)
    base = found[contenders[0].name]
    for name, samples in found.items():
        ratios = spread(a.cpu_us / b.cpu_us for a, b in zip(samples, base, strict=True))
        middle = statistics.median(each.cpu_us for each in samples)
        print(f"{name}: {middle:.1f} us of CPU a request ({ratios})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
