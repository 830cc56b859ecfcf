"""
One timer for all that is to be done for each subscription every few seconds.

A timer each would wake an idle proxy with a thousand guests hundreds of times a second, and
being woken costs more than what is then done. So the period is cut into slots, who joins is
put into one of them, and a slot has its turn as a whole. Empty slots wake nobody.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

SLOTS = 100
"""Of a period."""


class RandomSource(Protocol):
    """What of L{random.Random} is used."""

    def random(self) -> float:
        """From 0 to below 1."""

    def shuffle(self, x: list[WheelEntry], /) -> None:
        """Another order of these."""


class WheelEntry(Protocol):
    """What is done for one subscription."""

    def tick(self) -> bool:
        """Its turn has come; whether L{told} is to be called at the end of the slot's turn."""

    def told(self) -> None:
        """All of the slot have had their turn."""

    def failed(self) -> None:
        """C{tick} has raised something, which was logged."""


class TimerWheel:
    """
    Calls each L{WheelEntry} that has joined once a period, in seconds by C{clock}.

    The entries of a slot have their turns in a random order, so that none is always the last.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, period: float, dice: RandomSource) -> None:
        self._clock = clock
        self._step = period / SLOTS
        self._dice = dice
        self._slots: list[dict[WheelEntry, None]] = [{} for _ in range(SLOTS)]
        self._of: dict[WheelEntry, int] = {}
        self._begin = 0.0  # when the slot of number 0 had its turn, or would have had
        self._done = 0  # the number of the last slot that had its turn, counted on for ever
        self._call: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._of)

    def join(self, turn: WheelEntry) -> None:
        """Call C{turn} from now on: first within one period, at a random moment."""
        if not self._of:
            self._begin, self._done = self._clock.seconds(), 0
        slot = min(int(self._dice.random() * SLOTS), SLOTS - 1)
        self._of[turn] = slot
        self._slots[slot][turn] = None
        self._arrange()

    def leave(self, turn: WheelEntry) -> None:
        """Call it no more; harmless for who has not joined."""
        slot = self._of.pop(turn, None)
        if slot is not None:
            del self._slots[slot][turn]
            if not self._of and self._call is not None:
                self._call.cancel()
                self._call = None

    def _arrange(self) -> None:
        """See that we are woken for the next slot in which somebody is."""
        number = self._done + 1
        while not self._slots[number % SLOTS]:
            number += 1
        delay = max(0.0, self._begin + number * self._step - self._clock.seconds())
        if self._call is None:
            self._call = self._clock.callLater(delay, self._wake)
        else:
            self._call.reset(delay)

    def _wake(self) -> None:
        self._call = None
        # Half a step of tolerance: a timer may come a little early. Who was kept from running for
        # more than a period does not do all that was missed, but each turn once.
        now = int((self._clock.seconds() - self._begin) / self._step + 0.5)
        numbers = range(max(self._done + 1, now - SLOTS + 1), now + 1)
        self._done = max(self._done, now)
        for number in numbers:
            slot = self._slots[number % SLOTS]
            if slot:
                self._turn(list(slot))
        if self._of and self._call is None:
            self._arrange()

    def _turn(self, turns: list[WheelEntry]) -> None:
        self._dice.shuffle(turns)
        to_tell = []
        for turn in turns:
            # One may end others.
            if turn in self._of:
                try:
                    if turn.tick():
                        to_tell.append(turn)
                except Exception:
                    self._log.failure("the turn of {turn} failed", turn=turn)
                    turn.failed()
        for turn in to_tell:
            turn.told()
