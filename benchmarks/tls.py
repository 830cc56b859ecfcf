"""
TLS beside nginx and HAProxy: C{python -m benchmarks.tls [--rounds N] [--only WORD] [--with NAME]}.

Requests on kept connections (by C{h2load}), handshakes with a request each, full and resumed, and
the memory of idle connections (by C{native/tls_clients.c}). TLS 1.3, P-256, tickets on, logs and
X-Forwarded-For on; C and on the load's core what is behind each. With C{--bodies} instead large
bodies, both ways, over HTTP/1.1 and 2.

Rounds are interleaved, ratios to nginx made pair by pair, as L{benchmarks.bench} does it. TCP by
the kernel's own congestion control, and bodies from large pages: see L{benchmarks.bodies}. Prints,
and writes nothing.

Wants Debian's nginx-light, haproxy, nghttp2-client, gcc and libssl-dev.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rigs.tls_rig import Authority, key_pem, make_key

from . import machine
from .browser import HEADERS
from .build import ROOT, program
from .contenders import haproxy, nginx
from .rig import (
    HOST,
    Rig,
    cpu_seconds,
    descendants,
    free_port,
    raise_descriptor_limit,
    resident_bytes,
    wait_until,
)

NGINX = """\
ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:sessions:10m;
  ssl_session_tickets on;
  ssl_buffer_size 16k;
  ssl_certificate {dir}/certificates/default.pem;
  ssl_certificate_key {dir}/certificates/default.pem;"""
"""What its block C{http} has for TLS."""

MOST = 30_000
"""Connections that each may have."""


class Contestant:
    """
    One server over TLS.

    @ivar port: where it listens.
    @param bodies: its application sends and takes large ones.
    """

    def __init__(
        self, name: str, server_core: int, load_core: int, pem: bytes, bodies: bool = False
    ) -> None:
        self.name = name
        self._bodies = bodies
        self.port = free_port()
        self.rig = Rig(name, server_core, load_core)
        folder = Path(self.rig.directory) / "certificates"
        folder.mkdir()
        (folder / "default.pem").write_bytes(pem)
        getattr(self, f"_start_{name.partition('-')[0]}")()
        wait_until(self._answers, f"{name} answers")

    def _answers(self) -> bool:
        command = ["curl", "-sk", "--max-time", "2", "-o", "/dev/null", "-w", "%{http_code}"]
        command += ["--resolve", f"{HOST}:{self.port}:127.0.0.1", f"https://{HOST}:{self.port}/"]
        return subprocess.run(command, capture_output=True, check=False).stdout == b"200"

    def _backend(self) -> None:
        self.rig.spawn([program("backend"), self.rig.path("backend.sock")])
        self.rig.wait_for_socket("backend.sock")

    def _start_nginx(self) -> None:
        self._backend()
        http = NGINX.format(dir=self.rig.directory)
        extra = nginx.UNBUFFERED if self._bodies else ""
        text = nginx.configuration(
            self.rig, self.port, most=MOST, http=http, ssl="ssl http2", extra=extra
        )
        command = ["nginx", "-p", str(self.rig.directory), "-e", self.rig.path("early")]
        command += ["-c", self.rig.write("nginx.conf", text)]
        self._server = self.rig.spawn(command, counted=True)

    def _start_haproxy(self) -> None:
        self._backend()
        self.rig.spawn([program("sink"), self.rig.path("log.sock")])
        self.rig.wait_for_socket("log.sock")
        text = haproxy.configuration(
            self.rig,
            self.port,
            most=MOST,
            tuning="ssl-default-bind-options ssl-min-ver TLSv1.2",
            ssl=f"ssl crt {self.rig.directory}/certificates/default.pem alpn h2,http/1.1",
        )
        command = ["haproxy", "-db", "-f", self.rig.write("haproxy.cfg", text)]
        self._server = self.rig.spawn(command, counted=True)

    def _start_subproxy(self) -> None:
        environment = {"PYTHONPATH": str(ROOT)}
        vm = self.rig.path("vm.sock")
        library = self.name.partition("-")[2] or "system"
        self._server = self.rig.spawn(
            [
                *(sys.executable, "-c", "from twisted.scripts.twistd import run; run()"),
                *("-n", f"--pidfile={self.rig.path('twistd.pid')}", "--reactor=io_uring"),
                *("subproxy", f"--https=tcp:{self.port}:interface=127.0.0.1:backlog=4096"),
                f"--certificates={self.rig.directory}/certificates",
                f"--tls-library={library}",
                f"--vsock={vm}",
                f"--access-log={self.rig.path('access.log')}",
                "--keepalive-requests=1000000000",
            ],
            counted=True,
            env=environment,
        )
        self.rig.wait_for_socket("vm.sock_12345")
        guest = [program("guest"), f"{vm}_12345", HOST, "1", "1"]
        if self._bodies:
            guest = [program("bulk_guest"), f"{vm}_12345", HOST]
        self.rig.spawn(guest)

    @property
    def pids(self) -> list[int]:
        """Exactly its processes."""
        return descendants(self._server.pid)

    def close(self) -> None:
        """End it."""
        self.rig.close()


def on_core(core: int, command: list[str], **options: Any) -> subprocess.Popen[str]:
    """A process of the load."""
    return subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@dataclass(frozen=True)
class Measurement:
    """
    One thing that is measured.

    @ivar run: of a server, by the load on a core: microseconds a piece, or bytes.
    @ivar digits: behind the point, of what is printed.
    """

    name: str
    unit: str
    run: Callable[[Contestant, int], float]
    digits: int = 1


def requests(connections: int, count: int) -> Measurement:
    """Requests on so many kept connections."""

    def run(server: Contestant, core: int) -> float:
        command = ["h2load", "--h1", "-n", str(count), "-c", str(connections), "-m", "1"]
        for each in (*HEADERS, f":authority: {HOST}"):
            command += ["-H", each]
        pids = server.pids
        before = cpu_seconds(pids)
        out, errors = on_core(
            core, [*command, f"https://127.0.0.1:{server.port}/hello"]
        ).communicate(timeout=60)
        used = cpu_seconds(pids) - before
        good = re.search(r"status codes: (\d+) 2xx", out)
        if not good or int(good[1]) != count:
            raise RuntimeError(f"{server.name}: {out[-500:]}{errors[-300:]}")
        return used / count * 1e6

    return Measurement(f"requests, {connections} connections", "us", run)


def streams(connections: int, streams: int, count: int) -> Measurement:
    """Requests of HTTP/2, so many streams at a time on each of so many connections."""

    def run(server: Contestant, core: int) -> float:
        command = ["h2load", "-n", str(count), "-c", str(connections), "-m", str(streams)]
        for each in (*HEADERS, f":authority: {HOST}"):
            command += ["-H", each]
        return load(server, core, [*command, f"https://127.0.0.1:{server.port}/hello"], count)

    return Measurement(f"HTTP/2, {connections}x{streams}", "us", run)


def bodies(
    size: str, connections: int, count: int, direction: str = "down", version: str = "2"
) -> Measurement:
    """Bodies, one at a time on each connection: CPU seconds a gigabyte."""
    amount = int(size[:-1]) << 20

    def run(server: Contestant, core: int) -> float:
        command = ["h2load", "-n", str(count), "-c", str(connections), "-m", "1"]
        command += ["--h1"] if version == "1.1" else ["-w", "24", "-W", "26"]
        command += ["-H", f":authority: {HOST}"]
        path = "hello" if direction == "up" else f"bytes/{amount}"
        if direction == "up":
            file = Path(server.rig.directory) / size
            if not file.exists():
                file.write_bytes(bytes(amount))
            command += ["-d", str(file)]
        url = f"https://127.0.0.1:{server.port}/{path}"
        return load(server, core, [*command, url], count) * count / 1e6 / (count * amount / 1e9)

    return Measurement(
        f"bodies over HTTP/{version} {direction}, {size}, {connections}", "s/GB", run, digits=3
    )


def load(server: Contestant, core: int, command: list[str], count: int) -> float:
    """CPU microseconds a request of C{command}, which makes C{count}."""
    pids = server.pids
    before = cpu_seconds(pids)
    out, errors = on_core(core, command).communicate(timeout=80)
    used = cpu_seconds(pids) - before
    good = re.search(r"status codes: (\d+) 2xx", out)
    if not good or int(good[1]) != count or " 0 failed, 0 errored" not in out:
        raise RuntimeError(f"{server.name}: {out[-500:]}{errors[-300:]}")
    return used / count * 1e6


def clients(server: Contestant, core: int, at_once: int, total: int, how: str) -> Any:
    """Run C{tls_clients}."""
    command = [program("tls_clients"), str(server.port), str(at_once), str(total), how]
    return on_core(core, command, stdin=subprocess.PIPE)


def handshakes(how: str, count: int) -> Measurement:
    """Connections with a handshake and a request each."""

    def run(server: Contestant, core: int) -> float:
        pids = server.pids
        before = cpu_seconds(pids)
        out, errors = clients(server, core, 32, count, how).communicate(timeout=60)
        used = cpu_seconds(pids) - before
        found = json.loads(out)
        fresh = count - found["resumed"]
        if found["bad"] or (how == "resumed") != (fresh <= 32):
            raise RuntimeError(f"{server.name}: {found} {errors[-300:]}")
        return used / count * 1e6

    return Measurement(f"handshakes, {how}", "us", run)


def idle(count: int) -> Measurement:
    """Resident memory of idle connections, each of which has asked once."""

    def run(server: Contestant, core: int) -> float:
        warm = clients(server, core, 8, 300, "idle")
        warm.stdout.readline()
        warm.communicate()
        time.sleep(1)
        before = resident_bytes(server.pids)
        held = clients(server, core, 8, count, "idle")
        if held.stdout.readline() != "ready\n":
            raise RuntimeError(f"{server.name}: {held.communicate()}")
        time.sleep(1)
        after = resident_bytes(server.pids)
        held.communicate()
        return (after - before) / count

    return Measurement("an idle connection", "bytes", run)


MEASUREMENTS = (
    requests(1, 4000),
    requests(8, 20000),
    requests(64, 40000),
    requests(256, 40000),
    handshakes("full", 1500),
    handshakes("resumed", 2000),
    idle(5000),
    streams(8, 16, 40_000),
    streams(64, 10, 40_000),
    streams(64, 1, 20_000),
    streams(1, 1, 3_000),
)
BODIES = (
    bodies("1M", 8, 256, version="1.1"),
    bodies("64M", 2, 8, version="1.1"),
    bodies("1M", 8, 256, "up", version="1.1"),
    bodies("64M", 2, 8, "up", version="1.1"),
    bodies("1M", 8, 256),
    bodies("64M", 2, 8),
    bodies("1M", 8, 256, "up"),
    bodies("64M", 2, 8, "up"),
)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="TLS beside nginx and HAProxy.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="measurements whose names hold this")
    parser.add_argument("--with", dest="names", default="nginx,haproxy,subproxy,subproxy-python")
    parser.add_argument("--bodies", action="store_true", help="measure large bodies")
    options = parser.parse_args()
    raise_descriptor_limit()
    server_core, load_core = sorted(os.sched_getaffinity(0))[:2]
    authority, key = Authority(), make_key()
    pem = authority.certify(HOST, "127.0.0.1", key=key) + authority.pem + key_pem(key)
    with machine.common_congestion_control(), machine.large_pages():
        servers: list[Contestant] = []
        try:
            for name in options.names.split(","):
                servers.append(Contestant(name, server_core, load_core, pem, options.bodies))
            for each in BODIES if options.bodies else MEASUREMENTS:
                if options.only in each.name:
                    measure(each, servers, load_core, options.rounds)
        finally:
            for server in servers:
                server.close()


def measure(each: Measurement, servers: list[Contestant], core: int, rounds: int) -> None:
    """Measure one thing of all, in turn, and print it."""
    found: dict[str, list[float]] = {server.name: [] for server in servers}
    for number in range(1 if each.unit == "bytes" else rounds):
        turn = number % len(servers)
        for server in servers[turn:] + servers[:turn]:
            found[server.name].append(each.run(server, core))
    first = found[servers[0].name]
    for name, values in found.items():
        ratio = statistics.median(a / b for a, b in zip(values, first, strict=True))
        median = statistics.median(values)
        print(f"{each.name:33} {name:16} {median:9.{each.digits}f} {each.unit:5} {ratio:.2f}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
