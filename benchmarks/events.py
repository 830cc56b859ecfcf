"""
Event streams beside HAProxy: C{python -m benchmarks.events [--rounds N] [--with NAMES]}.

CPU of the proxy an event: each connection has an answer without an end, to each of which an event
is sent every so often, to all at once (C{native/event_source.c}, C{native/event_load.c}): in frames
by a guest, in chunks by what is behind HAProxy. Rounds are interleaved, ratios to HAProxy made pair
by pair. Prints, and writes nothing. Wants Debian's haproxy and gcc.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
from typing import NamedTuple

from .build import program
from .interleaved import spread
from .rig import HOST, descendants, raise_descriptor_limit
from .tunnels import Contestant

EVENT = 100
"""Bytes of an event."""


class Scenario(NamedTuple):
    """
    What is measured.

    @ivar every: microseconds between two events of a stream.
    """

    streams: int
    every: int

    @property
    def title(self) -> str:
        """As it is printed."""
        return f"{self.streams} streams, an event each every {self.every / 1000:g} ms"


SCENARIOS = (Scenario(1, 200), Scenario(8, 500), Scenario(64, 2000), Scenario(256, 10_000))


class EventContestant(Contestant):
    """A proxy of event streams. Without that option HAProxy keeps each event for up to 200 ms."""

    haproxy = "option http-no-delay"

    def behind(self, role: str, where: str) -> list[str]:
        """See L{Contestant}."""
        host = [HOST] if role == "guest" else []
        return [program("event_source"), role, where, str(EVENT), *host]

    def _answers(self) -> bool:
        try:
            return self.event_us(Scenario(1, 1000), 0.05) > 0
        except RuntimeError:
            return False

    def event_us(self, scenario: Scenario, seconds: float) -> float:
        """Microseconds of CPU an event."""
        command = ["taskset", "-c", "1", program("event_load"), "--port", str(self.port)]
        command += ["--host", HOST, "--path", f"/{scenario.every}"]
        command += ["--connections", str(scenario.streams), "--seconds", str(seconds)]
        for pid in descendants(self._server.pid):
            command += ["--pid", str(pid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stderr[-300:]}")
        raw = json.loads(done.stdout)
        return float(raw["cpu_ns"]) / 1e3 / max(1, int(raw["events"]))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--with", default="haproxy,subproxy,subproxy-python", dest="names")
    options = parser.parse_args()
    raise_descriptor_limit()
    names = options.names.split(",")
    servers: list[EventContestant] = []
    try:
        servers += [EventContestant(name) for name in names]
        for scenario in SCENARIOS:
            figures: dict[str, list[float]] = {name: [] for name in names}
            for turn in range(options.rounds):
                for server in servers if turn % 2 else servers[::-1]:
                    figures[server.name].append(server.event_us(scenario, options.seconds))
            base = figures[names[0]]
            shown = []
            for name, found in figures.items():
                ratios = spread(a / b for a, b in zip(found, base, strict=True))
                shown.append(f"{name} {statistics.median(found):.2f} us ({ratios})")
            print(f"{scenario.title}: {'; '.join(shown)}", flush=True)
    finally:
        for server in servers:
            server.close()


if __name__ == "__main__":
    main()
