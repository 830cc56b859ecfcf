#!/usr/bin/env python3
"""Ask a guest at its own host, and at another host; print the CPU of both proxies a request.

    python benchmarks/hosts.py [--rounds 5] [--seconds 2] [--connections 8,64] [--bodies 1M,64M]

Two proxies on this machine know each other by mutual TLS (C{--peer}). The guest, which is
C{native/guest.c}, is at the second one. wrk asks it there, and at the first, in turns; what is
printed is the median of the rounds: microseconds of CPU a request, of the host that asks, of the
one that serves, and how often as much both take together as the one does directly. TCP is by the
kernel's common congestion control: see L{machine}.

With C{--bodies} the guest is C{native/bulk_guest.c}, and bodies of these sizes are moved by one
client and by sixteen: milliseconds of CPU a body, and bytes a second.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import machine
from benchmarks.build import program
from benchmarks.measure import command_line, run
from benchmarks.rig import HOST, Rig, cpu_seconds, descendants, free_port, wait_until, wrk
from benchmarks.tables import size_of
from tests.rigs.tls_rig import Authority

TWISTD = str(Path(sys.executable).parent / "twistd")


class HostProxy:
    """A proxy that is one of two hosts."""

    def __init__(self, rig: Rig, name: str, authority: Authority, options: list[str]) -> None:
        self._rig = rig
        self.name = name
        self.port, self.peer_port = free_port(), free_port()
        certificate = Path(rig.path(f"{name}.pem"))
        certificate.write_bytes(authority.issue(name))
        self.vsock = rig.path(f"{name}.sock")
        self._options = [
            f"--http=tcp:{self.port}:interface=127.0.0.1",
            f"--vsock={self.vsock}",
            f"--peer-listen=tcp:{self.peer_port}:interface=127.0.0.1",
            f"--peer-certificate={certificate}",
            f"--peer-ca={rig.path('ca.pem')}",
            f"--access-log={rig.path(name)}.access",
            *options,
        ]

    def start(self, other: HostProxy) -> None:
        """Start it; it dials the other one."""
        peer = f"--peer={other.name}=127.0.0.1:{other.peer_port}"
        log = self._rig.path(f"{self.name}.log")
        command = [TWISTD, "-n", "--pidfile=", f"--logfile={log}", "subproxy"]
        self.process = self._rig.spawn([*command, *self._options, peer], counted=True)

    def cpu(self) -> float:
        """CPU seconds that it has taken."""
        return cpu_seconds(descendants(self.process.pid))


@dataclass(frozen=True)
class HostCost:
    """Microseconds of CPU a request, of each host."""

    asking: float
    serving: float

    @property
    def both(self) -> float:
        """Of both together."""
        return self.asking + self.serving


def ask(
    asked: HostProxy, asking: HostProxy, serving: HostProxy, seconds: float, connections: int
) -> HostCost:
    """What both hosts take for a request that a client asks C{asked}."""
    before = asking.cpu(), serving.cpu()
    count = wrk(asked.port, HOST, 1, seconds, connections)
    return HostCost(
        (asking.cpu() - before[0]) / count * 1e6, (serving.cpu() - before[1]) / count * 1e6
    )


@dataclass(frozen=True)
class BodyCost:
    """Milliseconds of CPU a body, of both hosts, and bytes a second."""

    cpu: float
    pace: float


def move(
    asked: HostProxy, both: tuple[HostProxy, HostProxy], size: int, clients: int, upload: bool
) -> BodyCost:
    """What bodies of C{size} cost that clients of C{asked} send, or get."""
    count = max(clients, -(-(128 << 20) // size) // clients * clients)
    pids = [pid for each in both for pid in descendants(each.process.pid)]
    command = command_line(
        "transfer", asked.port, pids, clients=clients, transfers=count, size=size, upload=upload
    )
    found = run(command, 1, seconds=100)
    return BodyCost(found["cpu_ns"] / count / 1e6, found["bytes"] / found["seconds"])


def print_bodies(one: HostProxy, two: HostProxy, sizes: str, rounds: int) -> None:
    """Move bodies at the guest's host, and at the other one, in turns."""
    middle = statistics.median
    for text in sizes.split(","):
        for upload in (False, True):
            for clients in (1, 16):
                rows = [
                    [move(at, (one, two), size_of(text), clients, upload) for at in (two, one)]
                    for _ in range(rounds)
                ]
                here, there = (
                    (middle(row[at].cpu for row in rows), middle(row[at].pace for row in rows))
                    for at in (0, 1)
                )
                print(
                    f"{'upload' if upload else 'download'} of {text}, {clients} clients: "
                    "directly "
                    f"{here[0]:.2f} ms of CPU, {here[1] / 1e6:.0f} MB/s; by another host "
                    f"{there[0]:.2f} ms ({there[0] / here[0]:.1f} times), "
                    f"{there[1] / 1e6:.0f} MB/s",
                    flush=True,
                )


def print_requests(one: HostProxy, two: HostProxy, seconds: float, count: int, rounds: int) -> None:
    """Ask by so many connections at the guest's host, and at the other one, in turns."""
    middle = statistics.median
    pairs = [
        (ask(two, one, two, seconds, count), ask(one, one, two, seconds, count))
        for _ in range(rounds)
    ]
    ratios = sorted(there.both / here.serving for here, there in pairs)
    print(
        f"{count} connections: directly {middle(here.serving for here, _ in pairs):.1f} us a "
        f"request; by another host {middle(there.asking for _, there in pairs):.1f} us there, "
        f"{middle(there.serving for _, there in pairs):.1f} us here; together "
        f"{middle(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) times as much",
        flush=True,
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--connections", default="8,64")
    parser.add_argument("--bodies", default="", help="sizes")
    parser.add_argument("--option", action="append", default=[], help="of both proxies")
    asked = parser.parse_args()
    authority = Authority()
    with machine.common_congestion_control(), Rig("hosts", 0, 1) as rig:
        Path(rig.path("ca.pem")).write_bytes(authority.pem)
        one, two = (HostProxy(rig, name, authority, asked.option) for name in ("kvm-1", "kvm-2"))
        one.start(two)
        two.start(one)
        wait_until(lambda: Path(two.vsock + "_12345").exists(), "the second host listens")
        guest = [program("bulk_guest"), f"{two.vsock}_12345", HOST]
        if not asked.bodies:
            guest = [program("guest"), f"{two.vsock}_12345", HOST, "1", "1"]
        rig.spawn(guest)
        rig.wait_for_answer(two.port)
        rig.wait_for_answer(one.port)
        if asked.bodies:
            print_bodies(one, two, asked.bodies, asked.rounds)
            return
        for count in map(int, asked.connections.split(",")):
            print_requests(one, two, asked.seconds, count, asked.rounds)


if __name__ == "__main__":
    main()
