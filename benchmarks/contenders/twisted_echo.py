"""A plain Twisted HTTP echo, without upstream, on either reactor."""

from __future__ import annotations

import importlib
import importlib.util
import sys

from ..build import ROOT
from ..rig import Rig, free_port
from .base import Contender, Server


def missing_reactor(name: str) -> str | None:
    """What is missing to run this Twisted reactor, or None."""
    if importlib.util.find_spec("twisted") is None:
        return "Twisted (pip install -e .)"
    if name != "io_uring":
        return None
    reactor = importlib.import_module("subproxy.reactor")
    reason: str | None = reactor.unavailable()
    return reason


class TwistedEcho(Contender):
    """C{benchmarks/reactor_echo.py} on the named reactor."""

    proxies = False

    def __init__(self, reactor: str) -> None:
        self.name = f"echo-{reactor.replace('_', '-')}"
        self.title = f"Twisted echo, {reactor} (no upstream)"
        self._reactor = reactor

    def missing(self) -> str | None:
        return missing_reactor(self._reactor)

    def start(self, rig: Rig) -> Server:
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.reactor_echo"]
        process = rig.spawn(
            [*command, "--reactor", self._reactor, "--port", str(port)],
            counted=True,
            env={"PYTHONPATH": str(ROOT)},
        )
        rig.wait_for_answer(port)
        return Server(port, process, rig)

    def version(self) -> str:
        import twisted

        return f"Twisted {twisted.__version__}"
