"""CPU of a guest in Go a request: python -m benchmarks.go_guest [--rounds N] [--profile FILE].

The guest has GOMAXPROCS=1 and a core of its own; the proxy and the load share the other. Hello,
world: a request with ten header fields, over connections that are kept.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

from tests.integration.golang import run as go

from . import measure
from .build import ROOT
from .rig import Rig, free_port

PORT = 12345


def start(rig: Rig, program: str, profile: str | None) -> tuple[int, int]:
    """The proxy and the guest; the port, and the guest's pid."""
    port = free_port()
    twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
    rig.spawn(
        [
            *twistd,
            *("-n", f"--pidfile={rig.path('pid')}", "--reactor=io_uring", "subproxy"),
            *(
                f"--http=tcp:{port}:interface=127.0.0.1:backlog=4096",
                "--keepalive-requests=1000000000",
            ),
            *(f"--vsock={rig.path('vm.sock')}", f"--access-log={rig.path('access.log')}"),
        ],
        env={"PYTHONPATH": str(ROOT)},
    )
    rig.wait_for_socket(f"vm.sock_{PORT}")
    environment = {"GOMAXPROCS": "1"} | ({"PROFILE": profile} if profile else {})
    where = f"unix:{rig.path('vm.sock')}_{PORT}"
    guest = rig.spawn([program, where], counted=True, env=environment)
    rig.wait_for_answer(port)
    return port, guest.pid


def main() -> None:
    """Measure, and print the median of the rounds for each number of connections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", default="64,8,1")
    parser.add_argument("--profile", help="where the guest writes a profile of its CPU")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "battery")
        built = go("build", "-o", program, "./internal/battery")
        if built.returncode:
            raise SystemExit(built.stderr)
        server, load = sorted(os.sched_getaffinity(0))[:2]
        with Rig("go-guest", server, load) as rig:
            port, pid = start(rig, program, asked.profile)
            for connections in map(int, asked.connections.split(",")):
                samples = []
                for number in range(asked.rounds):
                    command = measure.command_line(
                        "load", port, [pid], connections=connections, seconds=asked.seconds
                    )
                    raw = measure.run(command, load, seconds=60)
                    samples.append(measure.Sample("go", "hello", connections, number, raw))
                cpu = [sample.cpu_us for sample in samples]
                best = samples[cpu.index(min(cpu))]
                rate = statistics.median(sample.rate for sample in samples)
                print(
                    f"{connections:3} connections: {statistics.median(cpu):5.1f} us a request, "
                    f"{min(cpu):.1f} to {max(cpu):.1f}; of the least {best.system_us:.1f} in the "
                    f"system; {rate:,.0f} requests a second",
                    flush=True,
                )


if __name__ == "__main__":
    main()
