"""
Which workers have hung: their processes are there, and do not turn any more.

Each is asked now and then, and answers from its reactor. What is counted is questions that went
unanswered, not time: where parent and workers were frozen together, as a suspended machine's or a
container's are, one question is late, and the next is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from subproxy.workers.slots import Worker
from subproxy.workers.states import WorkerState

WATCH_INTERVAL = 2.0
"""Seconds between a worker's answer and the next question."""

UNANSWERED = 2
"""So many questions in a row without an answer, and a worker has hung."""


class WorkerWatch:
    """
    Asks the workers of a parent whether they turn.

    @param seconds: the time.
    @param ask: asks one; it fires with nothing if there was no answer in time.
    @param hung: is told who has not answered, and again if that one is still there after as many
        questions more.
    """

    _log = Logger()

    def __init__(
        self,
        seconds: Callable[[], float],
        ask: Callable[[Worker], Deferred[bytes]],
        hung: Callable[[Worker], None],
    ) -> None:
        self._seconds = seconds
        self._ask = ask
        self._hung = hung
        self._due: dict[int, float] = {}
        self._unanswered: dict[int, int] = {}

    def look(self, workers: Iterable[Worker]) -> None:
        """
        Ask those whose turn it is. To be called several times an interval.

        @param workers: all that there are. Who starts is not asked: reading files may take long.
        """
        now = self._seconds()
        there = list(workers)
        for gone in self._due.keys() - {worker.serial for worker in there}:
            self._forget(gone)
        for worker in there:
            if worker.state is WorkerState.STARTING or self._due.get(worker.serial, now) > now:
                continue
            self._due[worker.serial] = float("inf")
            answer = self._ask(worker).addCallback(self._answered, worker)
            answer.addErrback(lambda failure: self._log.failure("a worker's answer", failure))

    def _answered(self, payload: bytes, worker: Worker) -> None:
        if worker.state is WorkerState.ENDED:
            self._forget(worker.serial)
            return
        self._due[worker.serial] = self._seconds() + (WATCH_INTERVAL if payload else 0.0)
        if payload:
            self._unanswered.pop(worker.serial, None)
            return
        count = self._unanswered.get(worker.serial, 0) + 1
        if count < UNANSWERED:
            self._unanswered[worker.serial] = count
            return
        self._unanswered.pop(worker.serial, None)
        self._hung(worker)

    def _forget(self, serial: int) -> None:
        self._due.pop(serial, None)
        self._unanswered.pop(serial, None)
