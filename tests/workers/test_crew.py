"""The workers of a parent, over real socket pairs, in a reactor that is turned by hand."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from socket import socket
from typing import Any

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from subproxy.workers import crew
from subproxy.workers import messages as msg
from subproxy.workers.channel import channel_pair, receive_now, send_now
from subproxy.workers.crew import Crew
from subproxy.workers.messages import ChannelMessage
from subproxy.workers.slots import Worker
from subproxy.workers.states import WorkerState
from subproxy.workers.template import TemplateProcess
from tests.workers.test_channel import WatchingClock


class Observer:
    """Remembers who has ended."""

    def __init__(self) -> None:
        self.over: list[Worker] = []

    def began(self, worker: Worker) -> Iterable[ChannelMessage]:
        return [msg.Away(0.0)]

    def ready(self, worker: Worker) -> None:
        """Nothing depends on it."""

    def came(self, worker: Worker, said: ChannelMessage) -> None:
        """Nor on that."""

    def failed(self, worker: Worker, reason: str) -> None:
        """Nor on that."""

    def ended(self, worker: Worker) -> None:
        self.over.append(worker)


class TemplateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = WatchingClock()
        self.observer = Observer()
        self.crew = Crew(self.reactor, 1, self.observer)
        ours, self.template = channel_pair()
        self.addCleanup(self.template.close)
        self.crew.begin(TemplateProcess(ours, 0))
        self.addCleanup(self.crew.close)

    def turn(self) -> None:
        """Read whatever there is."""
        for each in list(self.reactor.readers):
            each.doRead()

    def fork(self) -> Any:
        """The template's word: the end of a channel, for a new worker."""
        said = receive_now(self.template)
        assert isinstance(said, msg.Fork)
        return said.descriptors[0]

    def test_without_one(self) -> None:
        """It is gone: who is asked for ends at once, and nobody waits for it."""
        self.template.close()
        self.turn()
        worker = self.crew.start(0)
        self.assertEqual(worker.state, WorkerState.STARTING)
        self.turn()
        self.assertEqual(self.observer.over, [worker])
        self.assertEqual(worker.state, WorkerState.ENDED)
        empty = self.crew.when_empty()
        self.successResultOf(empty)

    def test_no_descriptors(self) -> None:
        """Who can't be made, or told what it is, is tried again after a while."""

        def none_left(*_: object) -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

        for where, what in ((crew, "channel_pair"), (self.observer, "began")):
            patched = self.patch(where, what, none_left)
            worker = self.crew.start(0)
            self.assertEqual(worker.state, WorkerState.STARTING)
            self.reactor.advance(0)
            self.assertEqual(worker.state, WorkerState.ENDED)
            self.assertIn(worker, self.observer.over)
            patched.restore()
            self.reactor.advance(1)
            (again,) = self.crew.slots
            self.assertEqual((again.slot, again.state), (0, WorkerState.STARTING))
            self.crew.slots.retire(again)
            self.crew._give_up(again)

    def test_how_they_end(self) -> None:
        """By a status, or a signal, which need have no name."""
        for status, how in ((3 << 8, "status 3"), (9, "killed by SIGKILL"), (40, "signal 40")):
            with capturedLogs() as logs:
                send_now(self.template, msg.Ended(7, status))
                self.turn()
            self.assertIn(how, logs[0]["how"])

    def test_one_leaves(self) -> None:
        """One that was told to stop by somebody else is replaced, unless there is no template."""
        worker = self.crew.start(0)
        with socket(fileno=self.fork()) as theirs:
            send_now(theirs, msg.Ready())
            self.turn()
            self.template.close()
            self.turn()
            send_now(theirs, msg.Leaving())
            self.turn()
        self.turn()
        self.turn()
        self.assertEqual(len(self.observer.over), 2)
        self.assertIs(worker.state, WorkerState.ENDED)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.successResultOf(self.crew.when_empty())
