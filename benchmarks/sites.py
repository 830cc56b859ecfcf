#!/usr/bin/env python3
"""Start a proxy with so many sites, reload it, and ask it beside one without any; print the cost.

    python benchmarks/sites.py [--count 10000] [--processes 1] [--rounds 5] [--seconds 2]

Each site is one host with three rules that are numbers. A start is from the command to "HTTP on",
less that of the proxy without sites; a reload is the process's CPU from SIGHUP, with one rule of
each site changed, until the new rule is in force. Requests are wrk's, in turns on one core. Both
proxies are started anew several times, because two of one code differ by some percent; what is
printed is the median and the range of all pairs' ratios in CPU a request, and the worst start and
reload.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.rig import Rig, cpu_seconds, free_port, wait_until, wrk

ROOT = Path(__file__).resolve().parent.parent
TWISTD = str(Path(sys.executable).parent / "twistd")
ASKED = "h5.sites.example"


def configuration(count: int, most: int) -> str:
    """C{count} sites whose largest body is C{most} bytes, and the host that is asked among them."""
    return "".join(
        f'[[site]]\nhosts = "h{number}.sites.example"\nmax-body = {most}\nhold = 2\n'
        "response-timeout = 30\n"
        for number in range(count)
    )


class SiteProxy:
    """
    A proxy with a guest behind it.

    @ivar start: seconds from its command until it listened.
    """

    def __init__(self, rig: Rig, count: int) -> None:
        self._rig = rig
        self.port = free_port()
        self._log = rig.directory / f"proxy-{count}.log"
        self._file = Path(rig.write(f"sites-{count}.toml", configuration(count, 1000)))
        self._count = count
        vsock = rig.path(f"vm{count}.sock")
        command = [TWISTD, "-n", "--pidfile=", f"--logfile={self._log}", "subproxy"]
        command += [f"--http=tcp:{self.port}:interface=127.0.0.1", f"--vsock={vsock}"]
        command += [f"--config={self._file}", "--access-log=none"]
        began = time.monotonic()
        self.process = rig.spawn(command, counted=True)
        wait_until(lambda: self._says("HTTP on"), "it listens", 60)
        self.start = time.monotonic() - began
        guest = [sys.executable, "-m", "guest", f"--proxy=unix:{vsock}_12345"]
        rig.spawn([*guest, r"--host=.*\.example", "hello:Hello"], env={"PYTHONPATH": _paths()})
        rig.wait_for_answer(self.port, ASKED)

    def _says(self, text: str, times: int = 1) -> bool:
        return self._log.exists() and self._log.read_text().count(text) >= times

    def reload(self) -> float:
        """CPU seconds of a reload that changes each site."""
        self._file.write_text(configuration(self._count, 2000))
        before = cpu_seconds([self.process.pid])
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self._says(f"{self._file} is in force"), "it is in force", 60)
        return cpu_seconds([self.process.pid]) - before

    def ask(self, core: int, seconds: float, connections: int) -> float:
        """Microseconds of CPU a request."""
        before = cpu_seconds([self.process.pid])
        count = wrk(self.port, ASKED, core, seconds, connections)
        return (cpu_seconds([self.process.pid]) - before) / count * 1e6


def _paths() -> str:
    return f"{ROOT}:{ROOT / 'examples'}"


@dataclass(frozen=True)
class Seen:
    """What two proxies cost: seconds, CPU seconds, and CPU µs a request of each, in pairs."""

    start: float
    start_without: float
    pairs: list[tuple[float, float]]
    reload: float


def compared(count: int, rounds: int, seconds: float, connections: int) -> Seen:
    """Two new proxies, one with C{count} sites: asked in turns, and the one with sites reloaded."""
    with Rig("sites", 0, 1) as rig:
        none, many = SiteProxy(rig, 0), SiteProxy(rig, count)
        pairs = [
            (many.ask(1, seconds, connections), none.ask(1, seconds, connections))
            for _ in range(rounds)
        ]
        return Seen(many.start, none.start, pairs, many.reload())


def main() -> None:
    """Print the three figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=64)
    asked = parser.parse_args()
    seen = [
        compared(asked.count, asked.rounds, asked.seconds, asked.connections)
        for _ in range(asked.processes)
    ]
    start = max(seen, key=lambda each: each.start)
    print(
        f"start: {start.start:.2f} s with {asked.count} sites, {start.start_without:.2f} s without"
    )
    pairs = [pair for each in seen for pair in each.pairs]
    ratios = sorted(with_sites / without for with_sites, without in pairs)
    print(
        f"a request: {statistics.median(each for each, _ in pairs):.2f} and "
        f"{statistics.median(each for _, each in pairs):.2f} µs; {len(pairs)} pairs "
        f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
    )
    print(f"reload: {max(each.reload for each in seen):.2f} CPU s")


if __name__ == "__main__":
    main()
