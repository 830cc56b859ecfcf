"""Workers that hang."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.workers.slots import Worker
from subproxy.workers.states import WorkerState
from subproxy.workers.worker_watch import UNANSWERED, WATCH_INTERVAL, WorkerWatch


class WorkerWatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[tuple[Worker, Deferred[bytes]]] = []
        self.hung: list[Worker] = []
        self.watch = WorkerWatch(self.clock.seconds, self.ask, self.hung.append)
        self.worker = Worker(0, 1, 0.0, WorkerState.SERVING)

    def ask(self, worker: Worker) -> Deferred[bytes]:
        answer: Deferred[bytes] = Deferred()
        self.asked.append((worker, answer))
        return answer

    def look(self, *workers: Worker, after: float = 0.0) -> list[Worker]:
        """Who is asked then."""
        self.clock.advance(after)
        before = len(self.asked)
        self.watch.look(workers or [self.worker])
        return [worker for worker, _ in self.asked[before:]]

    def answer(self, payload: bytes) -> None:
        self.asked[-1][1].callback(payload)

    def test_who_answers(self) -> None:
        """Is asked again after the interval, and one question at a time."""
        self.assertEqual(self.look(), [self.worker])
        self.assertEqual(self.look(after=WATCH_INTERVAL), [])
        self.answer(b"{}")
        self.assertEqual(self.look(after=WATCH_INTERVAL - 0.1), [])
        self.assertEqual(self.look(after=0.2), [self.worker])

    def test_who_does_not(self) -> None:
        """Is asked at once again, and hangs when as many questions have gone unanswered."""
        for _ in range(UNANSWERED):
            self.assertEqual(self.hung, [])
            self.assertEqual(self.look(), [self.worker])
            self.answer(b"")
        self.assertEqual(self.hung, [self.worker])

    def test_one_late_answer(self) -> None:
        """Is nothing: all of us may have been frozen."""
        for payload in (b"", b"{}") * UNANSWERED:
            self.assertEqual(self.look(after=WATCH_INTERVAL), [self.worker])
            self.answer(payload)
        self.assertEqual(self.hung, [])

    def test_who_is_still_there(self) -> None:
        """Is told again: a process that waits for a disk does not end at once."""
        for _ in range(2 * UNANSWERED):
            self.look()
            self.answer(b"")
        self.assertEqual(self.hung, [self.worker, self.worker])

    def test_who_starts_and_who_retires(self) -> None:
        starting = Worker(0, 2, 0.0)
        retiring = Worker(0, 3, 0.0, WorkerState.RETIRING)
        self.assertEqual(self.look(starting, retiring), [retiring])

    def test_who_ends_between_two_questions(self) -> None:
        """Nothing is kept of it."""
        self.look()
        self.answer(b"{}")
        self.worker.state = WorkerState.ENDED
        self.worker = Worker(0, 2, 0.0, WorkerState.SERVING)
        self.look()
        self.assertEqual(list(self.watch._due), [2])

    def test_who_has_ended(self) -> None:
        """Is forgotten, and the next one begins anew."""
        for _ in range(UNANSWERED - 1):
            self.look()
            self.answer(b"")
        self.look()
        self.worker.state = WorkerState.ENDED
        self.answer(b"")
        self.assertEqual(self.hung, [])
        self.worker = Worker(0, 1, 0.0, WorkerState.SERVING)
        self.look()
        self.answer(b"")
        self.assertEqual(self.hung, [])
