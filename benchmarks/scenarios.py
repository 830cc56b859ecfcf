"""What is measured of small requests: one function a scenario, one sample a call."""

from __future__ import annotations

from typing import Any

from .contenders import Server
from .measure import NoAnswer, Sample, command_line, run

WARM = 0.3
SLACK = 60.0
TRIES = 3


class Runner:
    """Measures servers from one core with runs of so many seconds."""

    def __init__(self, core: int, seconds: float) -> None:
        self._core = core
        self._seconds = seconds

    def _sample(
        self, name: str, server: Server, scenario: str, connections: int, turn: int, **more: Any
    ) -> Sample:
        command = command_line(
            "load",
            server.port,
            server.pids(),
            connections=connections,
            seconds=self._seconds,
            warm=WARM,
            **more,
        )
        for _ in range(TRIES - 1):
            try:
                raw = run(command, self._core, seconds=self._seconds + SLACK)
                break
            except NoAnswer:
                continue
        else:
            raw = run(command, self._core, seconds=self._seconds + SLACK)
        return Sample(name, scenario, connections, turn, raw)

    def keepalive(
        self,
        name: str,
        server: Server,
        connections: int,
        turn: int,
        *,
        hosts: int | None = None,
        close: bool = False,
    ) -> Sample:
        """Requests on keep-alive connections, each as soon as the last is answered.

        With C{hosts}, they go round the hosts C{app0} to C{app(hosts-1)}. C{close} is for a server
        that keeps no connection: then each request has a new one here too.
        """
        scenario = "keepalive" if hosts is None else f"keepalive-hosts-{hosts}"
        return self._sample(name, server, scenario, connections, turn, hosts=hosts, close=close)

    def connect(self, name: str, server: Server, connections: int, turn: int) -> Sample:
        """A new connection for each request, so many at a time."""
        return self._sample(name, server, "connect", connections, turn, close=True)

    def latency(
        self, name: str, server: Server, connections: int, turn: int, rate: float, scenario: str
    ) -> Sample:
        """Requests at a constant rate; latencies from when each was due."""
        return self._sample(name, server, scenario, connections, turn, rate=f"{rate:.0f}")
