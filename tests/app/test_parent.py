"""The parent of workers: what it does at a reload."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app.parent import ParentService
from subproxy.workers.slots import Slots, Worker
from subproxy.workers.states import WorkerState

GOOD = {"problems": [], "applied": ["guests.hold"], "hand_over": []}


class AskedCrew:
    """Workers that answer when the test says so."""

    def __init__(self) -> None:
        self.slots = Slots(3)
        self.asked: list[tuple[Worker, str, Deferred[bytes]]] = []

    @property
    def serving(self) -> list[Worker]:
        return [each for each in self.slots if each.state is WorkerState.SERVING]

    def ask(self, worker: Worker, what: str) -> Deferred[bytes]:
        answer: Deferred[bytes] = Deferred()
        self.asked.append((worker, what, answer))
        return answer


class ReloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.crew = AskedCrew()
        self.taken: list[int] = []
        parent: Any = ParentService.__new__(ParentService)
        parent.crew = self.crew
        parent._reloaded = lambda: self.taken.append(len(self.crew.asked))
        self.parent: Any = parent

    def answer(self, data: Any, status: int) -> None:
        for _, _, answer in self.crew.asked:
            answer.callback(json.dumps([data, status]).encode())

    def test_who_begins_meanwhile(self) -> None:
        """One that starts has read the files before, perhaps: it is asked behind the others."""
        slots = self.crew.slots
        one = slots.adopt(0, 1, WorkerState.SERVING, 0.0)
        two = slots.adopt(1, 2, WorkerState.STARTING, 0.0)
        slots.adopt(1, 3, WorkerState.RETIRING, 0.0)
        done = self.parent.reload()
        three = slots.begin(2, 0.0)
        slots.ready(two, 0.0)
        self.assertEqual([worker for worker, *_ in self.crew.asked], [one])
        self.answer(GOOD, 200)
        self.assertEqual(self.successResultOf(done), (GOOD, 200))
        self.assertEqual(self.taken, [1])
        self.assertEqual(
            [(worker, what) for worker, what, _ in self.crew.asked[1:]],
            [(two, "reload"), (three, "reload")],
        )

    def test_files_that_are_no_good(self) -> None:
        """Nothing changes, and nobody else is asked."""
        self.crew.slots.adopt(0, 1, WorkerState.SERVING, 0.0)
        self.crew.slots.begin(1, 0.0)
        done = self.parent.reload()
        self.answer({"problems": ["f:1:1: x"]}, 422)
        self.assertEqual(self.successResultOf(done)[1], 422)
        self.assertEqual((self.taken, len(self.crew.asked)), ([], 1))
