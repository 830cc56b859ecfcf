"""
How many instances of all machines may run, and be started, at a time; and who is next.

Pure, as a L{Supervisor} is: it is asked with the time, and what it says is done by others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from subproxy.machines.supervisor import Supervisor

RESTED: Final = 1.0
"""Seconds without use after which an instance may have to make room for another machine."""


class Capacity:
    """
    See above: a L{StartLimit<subproxy.machines.supervisor.StartLimit>}.

    @ivar paused: nothing may be started: the next program comes, or the end.
    @param starts: how many may be started at a time.
    @param most: how many may run; 0: any number.
    @param supervisors: of all machines.
    """

    def __init__(
        self, starts: int, most: int, supervisors: Callable[[], Collection[Supervisor]]
    ) -> None:
        self.paused = False
        self._starts = starts
        self._most = most
        self._supervisors = supervisors

    def may_start(self, by: Supervisor, now: float) -> bool:
        """Whether C{by} may start one more instance now: whoever waits longer is first."""
        places = self._places()
        return places > 0 and (not self._most or by in self.queue(now)[:places])

    def next(self, now: float) -> list[Supervisor]:
        """Who may start an instance now, of those who want to."""
        places = self._places()
        return self.queue(now)[:places] if places > 0 else []

    @property
    def full(self) -> bool:
        """Whether as many run as may."""
        return bool(self._most) and self._running() >= self._most

    def queue(self, now: float) -> list[Supervisor]:
        """Who wants to start an instance, the one that waits longest first."""
        wanting = [
            (since, each) for each in self._supervisors() if (since := each.wants(now)) is not None
        ]
        return [each for _, each in sorted(wanting, key=lambda pair: pair[0])]

    def room(self, now: float) -> tuple[Supervisor, int] | None:
        """
        An instance that has to end, so that who waits for its place can start: the one that was
        not used for longest. None: nobody waits, or another one ends already, or all are in use.
        """
        if self.paused or not self.full:
            return None
        ending = sum(each.instances.ending for each in self._supervisors())
        if len(self.queue(now)) <= ending:
            return None
        rested = [
            (used, each.machine.name, index, each)
            for each in self._supervisors()
            for used, index in each.scaling.rested(now - RESTED)
        ]
        if not rested:
            return None
        _, _, index, supervisor = min(rested, key=lambda found: found[:3])
        return supervisor, index

    def _places(self) -> int:
        """
        For how many more there is room. It may be below zero: a program before this one may have
        let more run.
        """
        if self.paused:
            return 0
        starts = self._starts - sum(each.instances.coming for each in self._supervisors())
        return min(starts, self._most - self._running()) if self._most else starts

    def _running(self) -> int:
        return sum(each.instances.running for each in self._supervisors())
