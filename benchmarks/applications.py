"""
What a guest costs beside the servers that people use: CPU of the application's process a request.

    python -m benchmarks.applications [--rounds 5] [--seconds 2] [--connections 64]
        [--only NAME,...] [--peers FOLDER]

Each application answers the same 13 bytes. uvicorn, gunicorn and Node stand behind HAProxy, on a
unix socket with connections kept; guests behind subproxy. Of C{guest-sidecar} the bridge alone is
counted, and not the Node program that it asks; C{guest-twisted-python} has no compiled codec. The
application has one core for itself; the proxy and the load share the other. Only the application's
process is counted, its threads and children included. Rounds go through all of them in turn; a
figure is the median, a ratio the median of the ratios within rounds. C{--peers} is the virtual
environment that has uvicorn 0.54.0 (with httptools and uvloop) and gunicorn 27.0.1; by default that
of this Python. C{--start} measures the time from C{python -m guest} to C{registered} instead.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from .build import ROOT
from .measure import InvalidRun
from .rig import Rig, free_port
from .scenarios import Runner

HERE = "benchmarks.hello_applications"
HAPROXY = """\
global
  nbthread 1
  no strict-limits
  maxconn 2000
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 10s
  timeout client 600s
  timeout server 600s
listen application
  bind 127.0.0.1:{port} backlog 4096
  server one unix@{dir}/app.sock
"""

UVICORN = ("--http", "httptools", "--no-access-log", "--log-level", "warning")
GUNICORN = ("--workers", "1", "--worker-class", "gthread", "--threads", "8", "--keep-alive", "60")

GUESTS = {
    "guest-asgi": ("--loop=uvloop", f"{HERE}:asgi"),
    "guest-asgi-asyncio": ("--loop=asyncio", f"{HERE}:asgi"),
    "guest-wsgi": ("--loop=uvloop", "--threads=8", f"{HERE}:wsgi"),
    "guest-twisted": (f"{HERE}:Hello",),
    "guest-twisted-python": (f"{HERE}:Hello",),
    "guest-sidecar": ("--loop=uvloop", "--to=unix:{socket}"),
}
UNCOMPILED = (
    "import sys; sys.modules['subproxy.wire._whole_frame'] = None; "
    "from guest.__main__ import main; sys.exit(main(sys.argv[1:]))"
)
"""Runs a guest as where nothing can be compiled."""

PEERS = {
    "uvicorn": ("uvicorn", "--uds", "{socket}", "--loop", "uvloop", *UVICORN, f"{HERE}:asgi"),
    "uvicorn-asyncio": (
        *("uvicorn", "--uds", "{socket}", "--loop", "asyncio", *UVICORN, f"{HERE}:asgi"),
    ),
    "node": ("node", str(ROOT / "benchmarks" / "hello.js"), "{socket}"),
    "gunicorn-gthread": (
        *("gunicorn", "--bind", "unix:{socket}", *GUNICORN, "--log-level", "error"),
        *("--no-control-socket", f"{HERE}:wsgi"),
    ),
}
BESIDE = (
    ("guest-asgi", "uvicorn"),
    ("guest-asgi-asyncio", "uvicorn-asyncio"),
    ("guest-twisted", "uvicorn"),
    ("guest-twisted-python", "uvicorn"),
    ("guest-wsgi", "gunicorn-gthread"),
    ("guest-sidecar", "node"),
)
"""Which ratios are told."""


class Application:
    """One of them, behind its proxy (benchmarks.contenders.Server, as far as a Runner asks)."""

    def __init__(self, name: str, peers: Path, cores: tuple[int, int]) -> None:
        self.rig = Rig(name, *cores)
        self.port = free_port()
        environment = {"PYTHONPATH": str(ROOT)}
        socket = self.rig.path("app.sock")
        if name in GUESTS:
            self._subproxy(environment)
            if name == "guest-sidecar":
                self.rig.spawn(_command(PEERS["node"], socket, peers))
                self.rig.wait_for_socket("app.sock")
            proxy = f"--proxy=unix:{self.rig.path('vm.sock')}_12345"
            runs = ["-c", UNCOMPILED] if name.endswith("-python") else ["-m", "guest"]
            command = [sys.executable, *runs, proxy, r"--host=bench\.example"]
            command += [each.format(socket=socket) for each in GUESTS[name]]
        else:
            command = _command(PEERS[name], socket, peers)
        process = self.rig.spawn(command, counted=True, env=environment)
        if name in PEERS:
            self.rig.wait_for_socket("app.sock")
            text = HAPROXY.format(port=self.port, dir=self.rig.directory)
            self.rig.spawn(["haproxy", "-db", "-f", self.rig.write("haproxy.cfg", text)])
        self.rig.wait_for_answer(self.port)
        self._pid = process.pid

    def _subproxy(self, environment: dict[str, str]) -> None:
        rig = self.rig
        rig.spawn(
            [
                *(sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n"),
                *("--pidfile=", "subproxy", f"--access-log={rig.path('access.log')}"),
                f"--http=tcp:{self.port}:interface=127.0.0.1:backlog=4096",
                *(f"--vsock={rig.path('vm.sock')}", "--keepalive-requests=1000000000"),
            ],
            env=environment,
        )
        rig.wait_for_socket("vm.sock_12345")

    def pids(self) -> list[int]:
        """What is counted."""
        from .rig import descendants

        return descendants(self._pid)


def _command(words: tuple[str, ...], socket: str, peers: Path) -> list[str]:
    """A peer's command line; what C{peers} has not is of the path."""
    program, *rest = (each.format(socket=socket) for each in words)
    there = peers / "bin" / program
    return [str(there) if there.exists() else program, *rest]


def measure(
    names: list[str], rounds: int, seconds: float, connections: int, peers: Path
) -> dict[str, list[float]]:
    """Microseconds of CPU a request, by application, one figure a round."""
    applications: dict[str, Application] = {}
    found: dict[str, list[float]] = {name: [] for name in names}
    runner = Runner(1, seconds)
    try:
        for name in names:
            applications[name] = Application(name, peers, (0, 1))
        for turn in range(rounds):
            for name, each in applications.items():
                sample = runner._sample(name, each, "hello", connections, turn)  # type: ignore[arg-type]
                found[name].append(sample.cpu_us)
    finally:
        for each in applications.values():
            each.rig.close()
    return found


def tell(found: dict[str, list[float]]) -> None:
    """Print medians, and ratios within rounds."""
    for name, figures in found.items():
        middle = statistics.median(figures)
        print(f"{name:20} {middle:6.1f} µs  ({min(figures):.1f} to {max(figures):.1f})")
    for one, other in BESIDE:
        if found.get(one) and found.get(other):
            pairs = [a / b for a, b in zip(found[one], found[other], strict=True)]
            print(f"{one} / {other}: {statistics.median(pairs):.3f}")


def start_times(rounds: int) -> dict[str, list[float]]:
    """Seconds from C{python -m guest} to C{registered}, by application, one figure a round."""
    rig = Rig("start", 0, 1)
    others = ("guest-sidecar", "guest-twisted-python")
    starting = {name: GUESTS[name] for name in GUESTS if name not in others}
    found: dict[str, list[float]] = {name: [] for name in starting}
    try:
        rig.spawn(
            [
                *(sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n"),
                *("--pidfile=", "subproxy", f"--http=tcp:{free_port()}:interface=127.0.0.1"),
                f"--vsock={rig.path('vm.sock')}",
            ],
            env={"PYTHONPATH": str(ROOT)},
        )
        socket = rig.wait_for_socket("vm.sock_12345")
        for _ in range(rounds):
            for name, options in starting.items():
                command = [sys.executable, "-m", "guest", f"--proxy=unix:{socket}", "--host=a"]
                began = time.monotonic()
                with subprocess.Popen(
                    [*command, *options],
                    cwd=ROOT,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                ) as process:
                    assert process.stdout is not None
                    if not process.stdout.readline().startswith(b"registered"):
                        raise InvalidRun(f"{name} was not registered")
                    found[name].append(time.monotonic() - began)
                    process.terminate()
    finally:
        rig.close()
    return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--only", default=",".join([*GUESTS, *PEERS]))
    parser.add_argument("--peers", type=Path, default=Path(sys.prefix))
    parser.add_argument("--start", action="store_true", help="how long they take to start")
    asked = parser.parse_args()
    if asked.start:
        for name, times in start_times(asked.rounds).items():
            print(f"{name:20} {statistics.median(times):.3f} s  (least {min(times):.3f})")
        return
    names = asked.only.split(",")
    tell(measure(names, asked.rounds, asked.seconds, asked.connections, asked.peers))


if __name__ == "__main__":
    main()
