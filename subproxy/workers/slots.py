"""
Which worker has which slot, and when one that died is replaced. Decides; does nothing.

Each slot has at most one worker that starts or serves, and any number that retire. What dies is
replaced at once; what dies again and again before it has served for a while waits longer each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from subproxy.workers.states import TRANSITIONS, WorkerState

SETTLED = 1.0
"""Seconds that a worker has to serve, for its death to be nothing that its start has brought."""

FIRST_DELAY = 0.1
"""Seconds before a worker is replaced whose predecessor died so early, too; doubled each time."""

LONGEST_DELAY = 5.0

SERIALS = 1 << 16
"""So many serials there are: the first two bytes of a token."""


@dataclass(slots=True, eq=False)
class Worker:
    """
    One process.

    @ivar since: when it began to start, or to serve.
    """

    slot: int
    serial: int
    since: float
    state: WorkerState = WorkerState.STARTING

    def go(self, state: WorkerState) -> None:
        """Be in that state from now on."""
        self.state = TRANSITIONS.move(self.state, state)


@dataclass(frozen=True, slots=True)
class Replace:
    """A worker has ended: the slot gets another one, after C{delay} seconds."""

    slot: int
    delay: float


class Slots:
    """
    All workers.

    @ivar count: how many slots there are.
    @ivar deaths: of workers that should have lived.
    @ivar hangs: how many of them were killed since they did not answer.
    @ivar stopping: nobody is replaced any more.
    """

    def __init__(self, count: int, serial: int = 0) -> None:
        self.count = count
        self.deaths = 0
        self.hangs = 0
        self.stopping = False
        self._serial = serial
        self._workers: dict[int, Worker] = {}
        self._early = [0] * count

    @property
    def serial(self) -> int:
        """The one that was given last."""
        return self._serial

    def __iter__(self) -> Iterator[Worker]:
        return iter(list(self._workers.values()))

    def __len__(self) -> int:
        return len(self._workers)

    def begin(self, slot: int, now: float) -> Worker:
        """A worker for that slot is asked for; another that has it may serve meanwhile."""
        while True:
            self._serial = (self._serial + 1) % SERIALS
            if self._serial and self._serial not in self._workers:
                break
        worker = self._workers[self._serial] = Worker(slot, self._serial, now)
        return worker

    def adopt(self, slot: int, serial: int, state: WorkerState, now: float) -> Worker:
        """A worker that was there before."""
        worker = self._workers[serial] = Worker(slot, serial, now, state)
        return worker

    def get(self, serial: int) -> Worker | None:
        """The worker of that serial, unless it has ended."""
        return self._workers.get(serial)

    def serving(self, slot: int) -> Worker | None:
        """The worker that serves in that slot."""
        return self._in(slot, WorkerState.SERVING)

    def starting(self, slot: int) -> Worker | None:
        """The worker that starts in that slot."""
        return self._in(slot, WorkerState.STARTING)

    def _in(self, slot: int, state: WorkerState) -> Worker | None:
        for each in self._workers.values():
            if each.slot == slot and each.state is state:
                return each
        return None

    def ready(self, worker: Worker, now: float) -> Worker | None:
        """C{worker} serves: whom it replaces, who has to retire."""
        before = self.serving(worker.slot)
        worker.go(WorkerState.SERVING)
        worker.since = now
        if before is not None:
            before.go(WorkerState.RETIRING)
        return before

    def retire(self, worker: Worker) -> None:
        """C{worker} is to end, and not to be replaced."""
        if worker.state is not WorkerState.RETIRING:
            worker.go(WorkerState.RETIRING)

    def ended(self, worker: Worker, now: float) -> Replace | None:
        """C{worker} is gone: whether its slot gets another one, and when."""
        was, lived = worker.state, now - worker.since
        worker.go(WorkerState.ENDED)
        del self._workers[worker.serial]
        if was is WorkerState.RETIRING:
            return None
        self.deaths += 1
        if self.stopping or worker.slot >= self.count:
            return None
        if was is WorkerState.SERVING and lived >= SETTLED:
            self._early[worker.slot] = 0
            return Replace(worker.slot, 0.0)
        early = self._early[worker.slot]
        self._early[worker.slot] = early + 1
        delay = 0.0 if not early else min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (early - 1))
        return Replace(worker.slot, delay)

    def wanted(self, slot: int) -> bool:
        """Whether that slot has nobody who serves or starts."""
        return (
            not self.stopping
            and slot < self.count
            and self.serving(slot) is None
            and self.starting(slot) is None
        )
