"""
An attacker in a process of its own, which has what the others leave of a core: both ends.

It says all the time how far it is. At its end it could not, on a machine that is overloaded: what
has only what the others leave does not come to its end there.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from typing import Protocol

from tests.integration.harness import ROOT

EVERY = 0.1
"""Seconds between two words of how far it is."""


class Counting(Protocol):
    """
    What attacks, in threads of its own.

    @ivar dialled: how often it has connected.
    @ivar sent: how many bytes it has sent.
    """

    dialled: int
    sent: int


def tell(attacker: Counting) -> None:
    """Say how far C{attacker} is, which is under way by now, until standard input ends."""
    while True:
        print(attacker.dialled, attacker.sent, flush=True)
        if select.select([sys.stdin], [], [], EVERY)[0]:
            return


def leave_to_others(pid: int) -> None:
    """Let that process run only while nobody else wants its core."""
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


class AttackApart:
    """A program that ends with L{tell}, as C{python -m MODULE WORD...}; it is under way."""

    def __init__(self, module: str, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        self._told = self._process.stdout.readline()
        assert self._told, "it has ended before it attacked"
        for thread in os.listdir(f"/proc/{self._process.pid}/task"):
            leave_to_others(int(thread))

    def stop(self) -> tuple[int, int]:
        """End it, whatever it does: how often it had dialled, and how many bytes it had sent."""
        ended = self._process.poll()
        self._process.kill()
        told, _ = self._process.communicate()
        assert ended is None, f"it has ended amid its attack, with {ended}"
        whole, _, _ = (self._told + told).rpartition(b"\n")
        dialled, sent = map(int, whole.splitlines()[-1].split())
        return dialled, sent
