"""
The workers as the parent has them: their processes, their channels, and what was asked of them.

L{Slots} decides who is started and replaced; this does it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger, LogLevel

from subproxy.signal_name import signal_name
from subproxy.workers import messages as msg
from subproxy.workers.channel import MessageChannel, channel_pair
from subproxy.workers.messages import ChannelMessage
from subproxy.workers.slots import Slots, Worker
from subproxy.workers.states import WorkerState
from subproxy.workers.template import TemplateProcess
from subproxy.workers.worker_watch import UNANSWERED, WorkerWatch

ANSWER_LIMIT = 5.0
"""Seconds that a worker has to answer; who does not is left out."""


class CrewObserver(Protocol):
    """Who is told what workers do."""

    def began(self, worker: Worker) -> Iterable[ChannelMessage]:
        """C{worker} is made: what is it? C{Begin} comes first."""

    def ready(self, worker: Worker) -> None:
        """C{worker} serves."""

    def came(self, worker: Worker, said: ChannelMessage) -> None:
        """C{worker} has said something that is not about itself."""

    def failed(self, worker: Worker, reason: str) -> None:
        """C{worker} cannot serve."""

    def ended(self, worker: Worker) -> None:
        """C{worker} is gone."""


@dataclass(slots=True, eq=False)
class _CrewMember:
    """
    What belongs to a worker.

    @ivar asked: what waits for its answers, by number.
    """

    worker: Worker
    channel: MessageChannel
    pid: int = 0
    asked: dict[int, Deferred[bytes]] = field(default_factory=dict)


class Crew:
    """
    All workers of a parent.

    @ivar slots: which there are.
    """

    _log = Logger()

    def __init__(self, reactor: Any, count: int, observer: CrewObserver, serial: int = 0) -> None:
        self.slots = Slots(count, serial)
        self._reactor = reactor
        self._observer = observer
        self._template: MessageChannel | None = None
        self._held: dict[int, _CrewMember] = {}
        self._last_asked = 0
        self._statuses: dict[int, int] = {}
        self._empty: Deferred[None] | None = None
        self._watch = WorkerWatch(
            reactor.seconds, lambda worker: self.ask(worker, msg.ALIVE), self._kill_hung
        )

    def begin(self, template: TemplateProcess) -> None:
        """Fork from C{template} from now on."""
        self._template = MessageChannel(
            self._reactor, template.control, self._template_said, self._template_ended
        )

    def refresh(self) -> None:
        """Workers that are made from now on go by what is in the files."""
        if self._template is not None:
            self._template.send(msg.Refresh())

    # Who there is.

    def start(self, slot: int) -> Worker:
        """
        Let a worker of that slot be made. It ends in the next turn where there is no template, or
        no descriptor for it.
        """
        worker = self.slots.begin(slot, self._reactor.seconds())
        try:
            ours, theirs = channel_pair()
            self._hold(worker, ours)
            if self._template is None:
                theirs.close()
            else:
                self._template.send(msg.Fork(worker.serial, descriptors=(theirs.detach(),)))
            for said in self._observer.began(worker):
                self.send(worker, said)
        except OSError as error:
            self._log.error("no worker {slot} can be made: {why}", slot=slot, why=error)
            self._reactor.callLater(0, self._give_up, worker)
        return worker

    def _give_up(self, worker: Worker) -> None:
        held = self._held.get(worker.serial)
        if held is not None:
            held.channel.close()
        self._ended(worker)

    def adopt(self, slot: int, serial: int, pid: int, state: str, end: int) -> None:
        """A worker that the parent's former program has made."""
        worker = self.slots.adopt(slot, serial, WorkerState[state], self._reactor.seconds())
        self._hold(worker, socket.socket(fileno=end)).pid = pid

    def _hold(self, worker: Worker, end: socket.socket) -> _CrewMember:
        serial = worker.serial
        channel = MessageChannel(
            self._reactor, end, lambda said: self._came(serial, said), lambda: self._ended(worker)
        )
        held = self._held[serial] = _CrewMember(worker, channel)
        return held

    def pid(self, worker: Worker) -> int:
        """Which process C{worker} is; 0 if that is not known yet."""
        held = self._held.get(worker.serial)
        return 0 if held is None else held.pid

    @property
    def serving(self) -> list[Worker]:
        """Those that serve, by slot."""
        found = [each for each in self.slots if each.state is WorkerState.SERVING]
        return sorted(found, key=lambda each: each.slot)

    @property
    def settled(self) -> bool:
        """Whether no message is half said."""
        return all(held.channel.settled for held in self._held.values()) and (
            self._template is None or self._template.settled
        )

    # What is said.

    def send(self, worker: Worker, said: ChannelMessage) -> None:
        """Tell C{worker}."""
        held = self._held.get(worker.serial)
        if held is not None:
            held.channel.send(said)
        else:
            for each in said.descriptors:
                os.close(each)

    def tell(self, workers: Iterable[Worker], said: ChannelMessage) -> None:
        """Tell all of C{workers}."""
        for each in workers:
            self.send(each, said)

    def ask(self, worker: Worker, what: str, *about: str) -> Deferred[bytes]:
        """
        Let C{worker} do something.

        @return: fires with what it answers; with nothing if it does not.
        """
        answer: Deferred[bytes] = Deferred()
        held = self._held.get(worker.serial)
        if held is None:
            answer.callback(b"")
            return answer
        self._last_asked += 1
        number = self._last_asked
        held.asked[number] = answer
        limit = self._reactor.callLater(ANSWER_LIMIT, self._answered, held, number, b"")

        def over(found: bytes) -> bytes:
            if limit.active():
                limit.cancel()
            return found

        answer.addCallback(over)
        held.channel.send(msg.Ask(number, what, list(about)))
        return answer

    def _answered(self, held: _CrewMember, number: int, payload: bytes) -> None:
        answer = held.asked.pop(number, None)
        if answer is not None:
            answer.callback(payload)

    def watch(self) -> None:
        """End workers that hang, so that others take their places; to be called often."""
        self._watch.look(self.slots)

    def _kill_hung(self, worker: Worker) -> None:
        pid = self.pid(worker)
        self._log.error(
            "worker {slot}, process {pid}, has not answered for {seconds:.0f} seconds: it hangs, "
            "and is killed",
            slot=worker.slot,
            pid=pid,
            seconds=UNANSWERED * ANSWER_LIMIT,
        )
        self.slots.hangs += 1
        _kill(pid)

    # The end.

    def stop(self, hurry: bool) -> None:
        """Tell all to stop, and replace nobody."""
        self.slots.stopping = True
        for worker in self.slots:
            self.slots.retire(worker)
            self.send(worker, msg.Stop(hurry))

    def kill(self) -> None:
        """End those that are left at once."""
        for held in list(self._held.values()):
            _kill(held.pid)

    def when_empty(self) -> Deferred[None]:
        """Fires when the last worker has ended. To be asked for once."""
        empty = self._empty = Deferred()
        self._look_whether_empty()
        return empty

    def close(self) -> None:
        """Let go of the template, which ends when its last worker has."""
        if self._template is not None:
            self._template.close()

    def _look_whether_empty(self) -> None:
        if self._empty is not None and not self._held:
            empty, self._empty = self._empty, None
            empty.callback(None)

    # What comes.

    def _template_said(self, said: ChannelMessage) -> None:
        match said:
            case msg.Forked():
                held = self._held.get(said.serial)
                if held is not None:
                    held.pid = said.pid
            case msg.HasRead():
                self._log.info(
                    "workers that are made from now on begin with {count} renewed certificates",
                    count=said.count,
                )
            case msg.Ended():
                self._log.info(
                    "process {pid} of a worker has ended: {how}",
                    pid=said.pid,
                    how=_how(said.status),
                )

    def _template_ended(self) -> None:
        self._template = None
        if not self.slots.stopping:
            self._log.critical(
                "the process that workers are forked from is gone: a worker that ends is not "
                "replaced until a hand-over (SIGUSR2)"
            )

    def _came(self, serial: int, said: ChannelMessage) -> None:
        held = self._held.get(serial)
        if held is None:
            return
        worker = held.worker
        match said:
            case msg.Logged():
                namespace = f"worker {worker.slot}, {said.namespace}"
                level = LogLevel.lookupByName(said.level)
                Logger(namespace).emit(level, "{text}", text=said.text)
            case msg.Answer():
                self._answered(held, said.number, said.payload)
            case msg.Ready():
                self._ready(worker)
            case msg.Failed():
                self._log.error(
                    "worker {slot} cannot serve: {reason}", slot=worker.slot, reason=said.reason
                )
                self._observer.failed(worker, said.reason)
            case msg.Leaving():
                self._leaves(worker)
            case msg.ReadAgain():
                # All workers say so; there is something to read for the first word only.
                if self._template is not None:
                    self._template.send(said)
            case _:
                self._observer.came(worker, said)

    def _ready(self, worker: Worker) -> None:
        if worker.state is not WorkerState.STARTING:
            return
        before = self.slots.ready(worker, self._reactor.seconds())
        self._log.info(
            "worker {slot} serves: process {pid}", slot=worker.slot, pid=self.pid(worker)
        )
        self._observer.ready(worker)
        if before is not None:
            self.send(before, msg.Retire())

    def _leaves(self, worker: Worker) -> None:
        if worker.state is not WorkerState.RETIRING:
            self.slots.retire(worker)
            if self.slots.wanted(worker.slot):
                self._log.info("worker {slot} was told to stop: replaced", slot=worker.slot)
                self.start(worker.slot)

    def _ended(self, worker: Worker) -> None:
        was = worker.state
        if was is WorkerState.ENDED:
            return
        held = self._held.pop(worker.serial, None)
        replace = self.slots.ended(worker, self._reactor.seconds())
        if was is not WorkerState.RETIRING:
            self._log.error(
                "worker {slot} has died ({was})", slot=worker.slot, was=was.name.lower()
            )
        if held is not None:
            for number in list(held.asked):
                self._answered(held, number, b"")
        self._observer.ended(worker)
        if replace is not None:
            self._reactor.callLater(replace.delay, self._replace, replace.slot)
        self._look_whether_empty()

    def _replace(self, slot: int) -> None:
        if self.slots.wanted(slot) and self._template is not None:
            self.start(slot)

    # What the parent's next program has to know.

    def data(self) -> list[list[Any]]:
        """All workers that run, each with the descriptor of its channel, which it keeps."""
        return [
            [held.worker.slot, serial, held.pid, held.worker.state.name, held.channel.fileno()]
            for serial, held in self._held.items()
        ]


def _kill(pid: int) -> None:
    """End a process at once; 0: it is not known which."""
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"killed by {signal_name(os.WTERMSIG(status))}"
    return f"status {os.waitstatus_to_exitcode(status)}"


def decoded(payload: bytes) -> tuple[dict[str, Any], int] | None:
    """A reply of a worker: plain data and a status; None if there was no answer."""
    if not payload:
        return None
    data, status = json.loads(payload)
    return data, status
