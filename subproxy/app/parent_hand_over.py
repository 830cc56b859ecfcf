"""
The hand-over of a parent to its next program, in the same process (SIGUSR2).

The program that is there tries the next one, lets go of all that must not go on meanwhile, and
becomes it; that takes the workers as they are, and replaces them one by one. See
docs/explanation/workers.md.
"""

from __future__ import annotations

import json
import os
import sys
from enum import Enum, auto
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.app.parent_state import TRIAL, VARIABLE, ParentState
from subproxy.app.trial import try_program
from subproxy.core.states import TransitionTable
from subproxy.process.signals import hold_signals, let_signals_come
from subproxy.process.upgrade import START_LIMIT, command_line
from subproxy.workers import messages as msg
from subproxy.workers.crew import Crew
from subproxy.workers.slots import Worker

SIGNAL_TURNS = 2
"""Turns of the reactor behind which a stop has begun that a signal has asked for."""

SETTLE_LIMIT = 1.0
"""Seconds until the next program is run, though a message is half said."""

SETTLE_STEP = 0.01


class HandOverState(Enum):
    """
    Where a parent is.

    - C{NONE}: no hand-over is under way.
    - C{LEAVING}: the next program is tried, then all is let go of.
    - C{REPLACING}: this is the next program, and some workers are still of the one before.
    """

    NONE = auto()
    LEAVING = auto()
    REPLACING = auto()


HAND_OVER_TRANSITIONS: TransitionTable[HandOverState] = TransitionTable(
    {
        HandOverState.NONE: [HandOverState.LEAVING, HandOverState.REPLACING],
        HandOverState.LEAVING: [HandOverState.NONE],
        HandOverState.REPLACING: [HandOverState.NONE],
    }
)


class Stopping(Exception):
    """This program was told to stop meanwhile; so no other one comes."""


class HandedOver(Protocol):
    """What is handed over."""

    def places(self) -> list[str]:
        """Where is listened, and so can't be listened by anybody else."""

    async def let_go(self) -> None:
        """Stop what must not go on meanwhile."""

    def describe(self) -> ParentState:
        """What the next program has to know. It takes over within this turn, or never."""

    def take_back(self) -> None:
        """There is no next program: go on with what was let go of, or was about to be."""


class ParentHandOver:
    """
    See above.

    @ivar state: see L{HandOverState}.
    """

    _log = Logger()

    def __init__(self, reactor: Any, crew: Crew, handed: HandedOver) -> None:
        self.state = HandOverState.NONE
        self._reactor = reactor
        self._crew = crew
        self._handed = handed
        self._todo: list[int] = []
        self._started: Worker | None = None

    @property
    def under_way(self) -> bool:
        """Whether there is one."""
        return self.state is not HandOverState.NONE

    def begin(self) -> None:
        """Run the program anew in this process, if it would come up."""
        self._go(HandOverState.LEAVING)
        self._log.info("handing over to a new program")
        Deferred.fromCoroutine(self._leave()).addErrback(self._not_left)

    async def _leave(self) -> None:
        environment = dict(os.environ, **{TRIAL: json.dumps(self._handed.places())})
        await try_program(self._reactor, command_line(), environment, START_LIMIT)
        self._look_whether_stopping()
        self._crew.tell(self._crew.slots, msg.Away(START_LIMIT))
        try:
            await self._handed.let_go()
            hold_signals()
            await self._last_turns()
            self._look_whether_stopping()
            state = self._handed.describe()
            environment = dict(os.environ, **{VARIABLE: str(state.write())})
            sys.stdout.flush()
            sys.stderr.flush()
            os.execve(sys.executable, command_line(), environment)
        except Exception:
            let_signals_come()
            self._handed.take_back()
            raise

    async def _last_turns(self) -> None:
        """
        Let all have its turn that has come: a signal behind its handler, a message half said.

        A signal is a call in the next turn, and the stop that this may bring begins at the end of
        that one.
        """
        for _ in range(SIGNAL_TURNS):
            await deferLater(self._reactor, 0)
        for _ in range(int(SETTLE_LIMIT / SETTLE_STEP)):
            if self._crew.settled:
                break
            await deferLater(self._reactor, SETTLE_STEP)

    def _look_whether_stopping(self) -> None:
        if self._crew.slots.stopping:
            raise Stopping

    def _not_left(self, failure: Failure) -> None:
        if failure.check(Stopping):
            self._log.info("no new process comes up: this one stops")
        else:
            self._log.error(
                "no new process came up, so this one goes on: {error}",
                error=failure.getErrorMessage(),
            )
        self._go(HandOverState.NONE)

    def arrived(self) -> None:
        """This is the next program, which has taken the workers: replace them, one by one."""
        self._go(HandOverState.REPLACING)
        slots = self._crew.slots
        self._todo = sorted({*range(slots.count), *(each.slot for each in self._crew.serving)})
        self._replace_next()

    def ready(self, worker: Worker) -> None:
        """C{worker} serves: the next slot has its turn, if it was this one that was waited for."""
        if self.state is HandOverState.REPLACING and self._started is worker:
            self._replace_next()

    def _replace_next(self) -> None:
        """Let the next slot have a worker of this program; one that there is no more, none."""
        slots = self._crew.slots
        while self._todo:
            slot = self._todo.pop(0)
            if slot < slots.count:
                self._started = self._crew.start(slot)
                return
            surplus = slots.serving(slot)
            if surplus is not None:
                slots.retire(surplus)
                self._crew.send(surplus, msg.Retire())
        self._over()
        self._log.info("process {pid} has taken over", pid=os.getpid())

    def ended(self, worker: Worker, reason: str) -> None:
        """C{worker} is gone: if it was to be the next one, the old ones go on."""
        if self.state is not HandOverState.REPLACING or self._started is not worker:
            return
        self._over()
        self._log.error(
            "a new worker did not come up, so the old ones go on: {reason}", reason=reason
        )

    def _over(self) -> None:
        self._todo = []
        self._started = None
        self._go(HandOverState.NONE)

    def _go(self, state: HandOverState) -> None:
        self.state = HAND_OVER_TRANSITIONS.move(self.state, state)
