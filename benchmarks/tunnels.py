"""
Tunnels beside HAProxy and nginx: C{python -m benchmarks.tunnels [--rounds N] [--only WORD]}.

Messages there and back over WebSockets that are open (C{native/tunnel_load.c}): CPU of the proxy a
small message, CPU seconds a GB of long ones, both directions counted. Behind each is the same echo
in C (C{native/tunnel_echo.c}), in frames or over data connections. The bytes are no frames of
WebSocket: no proxy looks. C{--tls}: over TLS 1.3, P-256. C{--idle N}: the memory of N tunnels
through which nothing passes, and the CPU of opening such beside that of connections with one
request each. Rounds are interleaved, ratios to HAProxy made pair by pair.
Prints, and writes nothing. Wants Debian's nginx-light, haproxy and gcc.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.rigs.tls_rig import Authority

from .build import ROOT, program
from .rig import (
    HOST,
    Rig,
    descendants,
    free_port,
    raise_descriptor_limit,
    resident_bytes,
    wait_until,
)

NGINX = """\
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 60000;
pid {dir}/nginx.pid;
error_log {dir}/error.log error;
events {{ use epoll; worker_connections 30000; }}
http {{
  access_log {dir}/access.log combined buffer=64k flush=1s;
  client_body_temp_path {dir}/client_body;
  proxy_temp_path {dir}/proxy_temp;
  fastcgi_temp_path {dir}/fastcgi_temp;
  uwsgi_temp_path {dir}/uwsgi_temp;
  scgi_temp_path {dir}/scgi_temp;
  upstream application {{ server unix:{dir}/backend.sock; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096{ssl};
    {certificate}
    location / {{
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_buffers 8 64k;
      proxy_buffer_size 64k;
      proxy_read_timeout 600s;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}
}}
"""

HAPROXY = """\
global
  nbthread 1
  no strict-limits
  maxconn 30000
  tune.pipesize 1048576
  log {dir}/log.sock len 1024 format raw local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  option splice-auto
  timeout connect 10s
  timeout client 600s
  timeout server 600s
  timeout tunnel 3600s
  {more}
frontend clients
  bind 127.0.0.1:{port} backlog 4096{ssl}
  default_backend application
backend application
  server one unix@{dir}/backend.sock
"""


PLAIN = "plain.example"
"""A host whose guest answers requests."""

POLICY = f"""\
[[guest]]
identity = "*"
hosts = ["{HOST}", "{PLAIN}"]
tunnels = 1000000
"""
"""By default a virtual machine has 1,000."""


class Contestant:
    """
    One proxy, with its echo.

    @cvar haproxy: one more line of the section C{defaults} of HAProxy.

    @ivar port: where it listens.
    @param name: C{haproxy}, C{nginx}, C{subproxy}, or C{subproxy-python}, without the
        compiled path.
    @param pem: its certificate and key; None for no TLS.
    """

    haproxy = ""

    def __init__(self, name: str, pem: bytes | None = None) -> None:
        self.name = name
        self._pem = pem
        self.port = free_port()
        self.rig = Rig(name, 0, 1)
        if pem is not None:
            folder = Path(self.rig.directory) / "certificates"
            folder.mkdir()
            (folder / "default.pem").write_bytes(pem)
        self._file = f"{self.rig.directory}/certificates/default.pem"
        getattr(self, f"_start_{name.partition('-')[0]}")()
        wait_until(self._answers, f"{name} answers")

    def _answers(self) -> bool:
        try:
            self.measure("/chat", 1, 64, 0.05)
        except RuntimeError:
            return False
        return True

    def behind(self, role: str, where: str) -> list[str]:
        """What is behind it: the command of a C{backend} or a C{guest} on a socket."""
        return [program("tunnel_echo"), role, where, *([HOST] if role == "guest" else [])]

    def _backend(self) -> None:
        self.rig.spawn(self.behind("backend", self.rig.path("backend.sock")))
        self.rig.spawn([program("sink"), self.rig.path("log.sock")])
        self.rig.wait_for_socket("backend.sock")
        self.rig.wait_for_socket("log.sock")

    def _start_nginx(self) -> None:
        self._backend()
        certificate = f"ssl_certificate {self._file}; ssl_certificate_key {self._file};"
        text = NGINX.format(
            dir=self.rig.directory,
            port=self.port,
            ssl=" ssl" if self._pem else "",
            certificate=certificate if self._pem else "",
        )
        command = ["nginx", "-p", str(self.rig.directory), "-e", self.rig.path("early")]
        command += ["-c", self.rig.write("nginx.conf", text)]
        self._server = self.rig.spawn(command, counted=True)

    def _start_haproxy(self) -> None:
        self._backend()
        ssl = f" ssl crt {self._file}" if self._pem else ""
        text = HAPROXY.format(dir=self.rig.directory, port=self.port, ssl=ssl, more=self.haproxy)
        command = ["haproxy", "-db", "-f", self.rig.write("haproxy.cfg", text)]
        self._server = self.rig.spawn(command, counted=True)

    def _start_subproxy(self) -> None:
        vm = self.rig.path("vm.sock")
        endpoint = f"tcp:{self.port}:interface=127.0.0.1:backlog=4096"
        listen = [f"--http={endpoint}"]
        if self._pem:
            listen = [f"--https={endpoint}", f"--certificates={self.rig.directory}/certificates"]
        self._server = self.rig.spawn(
            [
                *(sys.executable, "-c", "from twisted.scripts.twistd import run; run()"),
                *("-n", f"--pidfile={self.rig.path('twistd.pid')}", "--reactor=io_uring"),
                *("subproxy", *listen),
                f"--vsock={vm}",
                f"--policy={self.rig.write('policy.toml', POLICY)}",
                f"--access-log={self.rig.path('access.log')}",
                *(["--no-fastpath"] if self.name.endswith("-python") else []),
            ],
            counted=True,
            env={"PYTHONPATH": str(ROOT)},
        )
        self.rig.wait_for_socket("vm.sock_12345")
        self.rig.spawn(self.behind("guest", f"{vm}_12345"))
        self.rig.spawn([program("guest"), f"{vm}_12345", PLAIN, "1", "1"])

    def measure(self, path: str, connections: int, size: int, seconds: float) -> dict[str, float]:
        """One measurement."""
        command = self._command(path, connections, size, seconds)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stderr[-300:]}")
        found: dict[str, float] = json.loads(done.stdout)
        return found

    def idle(self, connections: int, plain: bool = False) -> tuple[float, float]:
        """
        Of so many tunnels through which nothing passes, each: resident bytes, and microseconds of
        CPU that opening it took.

        @param plain: of connections with one request each instead.
        """
        pids = descendants(self._server.pid)
        self._rest(pids)
        before = resident_bytes(pids)
        command = self._command("/chat", connections, 64, 0.0)
        if plain:
            command = [PLAIN if each == HOST else each for each in command] + ["--plain", "1"]
        load = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert load.stdout is not None
        try:
            said = load.stdout.readline().split()
            if said[:1] != ["ready"]:
                raise RuntimeError(f"{self.name}: not all tunnels were opened")
            took = int(said[1]) / connections / 1e3
            return (resident_bytes(pids) - before) / connections, took
        finally:
            load.communicate()

    @staticmethod
    def _rest(pids: list[int]) -> None:
        """Wait until the proxy has done with what was before: less than 20 ms of CPU in 0.5 s."""
        used = -1
        while True:
            now = sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)
            if used >= 0 and now - used < 20_000_000:
                return
            used = now
            time.sleep(0.5)

    def _command(self, path: str, connections: int, size: int, seconds: float) -> list[str]:
        command = ["taskset", "-c", "1", program("tunnel_load"), "--port", str(self.port)]
        command += ["--host", HOST, "--path", path, "--connections", str(connections)]
        command += ["--size", str(size), "--seconds", str(seconds)]
        command += ["--tls", "1" if self._pem else "0"]
        for pid in descendants(self._server.pid):
            command += ["--pid", str(pid)]
        return command

    def close(self) -> None:
        """End it."""
        self.rig.close()


@dataclass(frozen=True)
class Scenario:
    """
    What is measured.

    @ivar path: C{/bulk} goes over data connections from the start.
    @ivar a: what one figure is of: a message, or 10^9 bytes.
    """

    name: str
    path: str
    connections: int
    size: int
    a: str = "messages"

    def figure(self, raw: dict[str, float]) -> float:
        """Microseconds a message, or seconds a GB."""
        return raw["cpu_ns"] / raw[self.a] / (1e3 if self.a == "messages" else 1)


SCENARIOS = (
    *(Scenario(f"64 bytes, {n} connections", "/chat", n, 64) for n in (64, 8, 1)),
    Scenario("64 KiB, 8 connections", "/bulk", 8, 65_536, "bytes"),
    Scenario("1 MiB, 4 connections", "/bulk", 4, 1_048_576, "bytes"),
)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tunnels")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--only", default="", help="scenarios with this in their name")
    parser.add_argument("--with", default="haproxy,nginx,subproxy", dest="names")
    parser.add_argument("--tls", action="store_true", help="over TLS")
    parser.add_argument("--idle", type=int, default=0, help="of so many idle tunnels the memory")
    options = parser.parse_args()
    raise_descriptor_limit()
    names = options.names.split(",")
    servers = []
    pem = Authority().issue(HOST) if options.tls else None
    try:
        for name in names:
            servers.append(Contestant(name, pem))
        if options.idle:
            for each in servers:
                size = each.idle(options.idle)[0]
                print(f"{options.idle} idle tunnels of {each.name}: {size:.0f} bytes each")
                if each.name == "subproxy":
                    took, request = (each.idle(2000, plain)[1] for plain in (False, True))
                    print(f"opening one takes {took:.0f} us, with one request {request:.0f} us")
            return
        for scenario in SCENARIOS:
            if options.only not in scenario.name:
                continue
            figures: dict[str, list[float]] = {name: [] for name in names}
            for _ in range(options.rounds):
                for server in servers:
                    raw = server.measure(
                        scenario.path, scenario.connections, scenario.size, options.seconds
                    )
                    figures[server.name].append(scenario.figure(raw))
            base = figures[names[0]]
            shown = [
                f"{name} {statistics.median(found):.2f} "
                f"({statistics.median(a / b for a, b in zip(found, base, strict=True)):.2f})"
                for name, found in figures.items()
            ]
            unit = "us a message" if scenario.a == "messages" else "s a GB"
            print(f"{scenario.name}, {unit}: {', '.join(shown)}", flush=True)
    finally:
        for server in servers:
            server.close()


if __name__ == "__main__":
    main()
