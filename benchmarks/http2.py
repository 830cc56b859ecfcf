"""
HTTP/2 under nghttp2's C{h2load}: the CPU time that a request costs the proxy, beside nginx and
HAProxy.

    python -m benchmarks.http2 [--rounds 5] [--targets subproxy,nginx]

Contenders are started once and asked in turn, so that what changes on the machine changes for all;
medians of pairs. Server on core 0, load and back ends on core 1. Logs and C{X-Forwarded-For} on.
nginx keeps connections to a back end in C alive; subproxy's guest is in C, too.
"""

from __future__ import annotations

import argparse
import subprocess
from statistics import median
from time import monotonic
from typing import NamedTuple

from .browser import HEADERS
from .contenders.base import Server
from .contenders.haproxy import HAProxy
from .contenders.nginx import Nginx
from .contenders.subproxy import Subproxy
from .rig import HOST, Rig, cpu_seconds, free_port, raise_descriptor_limit


class Target(NamedTuple):
    """So many connections, streams on each at a time, and requests in all."""

    connections: int
    streams: int
    requests: int


TARGETS = {
    "8x16": Target(8, 16, 40_000),
    "64x10": Target(64, 10, 40_000),
    "64x1": Target(64, 1, 20_000),
    "1x1": Target(1, 1, 3_000),
}


class Http2Nginx(Nginx):
    """nginx with a second port, on which it speaks HTTP/2 alone."""

    def configuration(self, rig: Rig, port: int) -> str:
        text = super().configuration(rig, port)
        self.http2_port = free_port()
        listen = f"listen 127.0.0.1:{port} backlog=4096;"
        text = text.replace("http {", "http { http2_max_concurrent_streams 256;")
        return text.replace(
            listen, f"{listen} listen 127.0.0.1:{self.http2_port} http2 backlog=4096;"
        )

    def start(self, rig: Rig) -> Server:
        server = super().start(rig)
        return Server(self.http2_port, server.process, rig)


class Http2HAProxy(HAProxy):
    """HAProxy, likewise."""

    def configuration(self, rig: Rig, port: int) -> str:
        text = super().configuration(rig, port)
        self.http2_port = free_port()
        bind = f"bind 127.0.0.1:{port} backlog 4096"
        return text.replace(
            bind, f"{bind}\n  bind 127.0.0.1:{self.http2_port} proto h2 backlog 4096"
        )

    def start(self, rig: Rig) -> Server:
        server = super().start(rig)
        return Server(self.http2_port, server.process, rig)


CONTENDERS = {
    "subproxy": lambda: Subproxy("io_uring"),
    "subproxy-epoll": lambda: Subproxy("epoll"),
    "nginx": Http2Nginx,
    "haproxy": Http2HAProxy,
}


class Sample(NamedTuple):
    """
    One turn of one contender.

    @ivar cost: CPU microseconds a request.
    @ivar rate: requests a second.
    @ivar busy: the share of its core.
    """

    cost: float
    rate: float
    busy: float


def sample(server: Server, target: Target) -> Sample:
    """Asks C{server} so many times; what h2load does before counts, too."""
    command = [
        *("taskset", "-c", "1", "h2load"),
        *(f"-n{target.requests}", f"-c{target.connections}", f"-m{target.streams}"),
    ]
    for header in HEADERS:
        command += ["-H", header]
    command += ["-H", f":authority: {HOST}", f"http://127.0.0.1:{server.port}/"]
    pids = server.pids()
    before, began = cpu_seconds(pids), monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    used, took = cpu_seconds(pids) - before, monotonic() - began
    if f" {target.requests} succeeded, 0 failed, 0 errored" not in done.stdout:
        raise SystemExit(done.stdout)
    return Sample(used / target.requests * 1e6, target.requests / took, used / took)


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--targets", default="subproxy,nginx,haproxy")
    parser.add_argument("--only", default=",".join(TARGETS))
    arguments = parser.parse_args()
    raise_descriptor_limit()
    names = arguments.targets.split(",")
    rigs = {name: Rig(name, 0, 1) for name in names}
    try:
        servers = {name: CONTENDERS[name]().start(rigs[name]) for name in names}
        print(f"{'':8}" + "".join(f"{name:>30}" for name in names))
        for target in arguments.only.split(","):
            taken: dict[str, list[Sample]] = {name: [] for name in names}
            for _ in range(arguments.rounds):
                for name in names:
                    taken[name].append(sample(servers[name], TARGETS[target]))
            line = f"{target:8}"
            for name in names:
                one = taken[name]
                costs = [each.cost for each in one]
                cell = f"{median(costs):.2f} us {median(each.rate for each in one):,.0f}/s"
                cell += f" {median(each.busy for each in one):.2f}"
                if "nginx" in taken and name != "nginx":
                    pairs = [a.cost / b.cost for a, b in zip(one, taken["nginx"], strict=True)]
                    cell += f" ({median(pairs):.2f})"
                line += f"{cell:>30}"
            print(line, flush=True)
    finally:
        for rig in rigs.values():
            rig.close()


if __name__ == "__main__":
    main()
