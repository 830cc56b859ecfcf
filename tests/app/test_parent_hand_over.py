"""The hand-over of a parent to its next program: it fails, or replaces the workers."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from unittest import mock

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app import parent_hand_over as module
from subproxy.app.parent import ParentService
from subproxy.app.parent_hand_over import HandOverState, ParentHandOver
from subproxy.app.parent_state import ParentState
from subproxy.app.periodic import PeriodicService
from subproxy.process.signals import let_signals_come, stop_on_signals
from subproxy.workers import messages as msg


class Paused:
    """What a parent lets wait for its next program: machines, hosts, the admin listener."""

    def __init__(self) -> None:
        self.waits = False

    def pause(self) -> Any:
        self.waits = True
        return succeed(None)

    async def stopListening(self) -> None:
        self.waits = True

    def go_on(self) -> None:
        self.waits = False

    listen_again = go_on


class NoGreetings:
    def detach_all(self) -> list[Any]:
        """Nobody is greeting."""
        return []


class Slots:
    """So many slots, and who is in them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.stopping = False
        self.serving_: dict[int, Any] = {}
        self.retired: list[Any] = []

    def serving(self, slot: int) -> Any:
        return self.serving_.get(slot)

    def retire(self, worker: Any) -> None:
        self.retired.append(worker)


@dataclass(eq=False)
class FakeWorker:
    slot: int


class FakeCrew:
    """Workers that are started, and that do nothing by themselves."""

    settled = True

    def __init__(self, count: int = 0, *serving: int) -> None:
        self.slots = Slots(count)
        self.serving = [FakeWorker(slot) for slot in serving]
        self.slots.serving_ = {each.slot: each for each in self.serving}
        self.started: list[FakeWorker] = []
        self.sent: list[tuple[Any, Any]] = []

    def start(self, slot: int) -> FakeWorker:
        self.started.append(FakeWorker(slot))
        return self.started[-1]

    def send(self, worker: Any, said: Any) -> None:
        self.sent.append((worker, said))

    def tell(self, workers: object, said: object) -> None:
        """Nobody is there."""


class FailedHandOverTests(SynchronousTestCase):
    def test_no_descriptor(self) -> None:
        """What the next program has to know can't be written: all goes on as before."""
        parent: Any = ParentService.__new__(ParentService)
        parent.running = 1
        parent._reactor = Clock()
        parent.crew = FakeCrew()
        parent.greetings = NoGreetings()
        paused = parent._admin, parent.hosts, parent.machines = Paused(), Paused(), Paused()
        written: list[ParentState] = []

        def describe(unread: list[Any]) -> ParentState:
            written.append(ParentState())
            return written[-1]

        parent._describe = describe
        parent.places = lambda: ["tcp:80"]
        parent._handing_over = ParentHandOver(parent._reactor, parent.crew, parent)
        self.patch(module, "try_program", lambda *_: succeed(None))
        least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, most))
        try:
            parent.hand_over()
            parent._reactor.advance(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (least, most))
        self.assertEqual(len(written), 1)
        self.assertFalse(parent._handing_over.under_way)
        self.assertEqual([each.waits for each in paused], [False] * 3)


class ReplacingTests(SynchronousTestCase):
    """The next program has taken the workers of the one before."""

    def arrive(self, count: int, *serving: int) -> None:
        self.crew: Any = FakeCrew(count, *serving)
        self.hand_over = ParentHandOver(Clock(), self.crew, cast("Any", None))
        self.hand_over.arrived()

    def slots(self) -> list[int]:
        return [each.slot for each in self.crew.started]

    def test_one_by_one(self) -> None:
        self.arrive(2, 0, 1)
        self.assertEqual(self.slots(), [0])
        self.hand_over.ready(self.crew.started[0])
        self.assertEqual(self.slots(), [0, 1])
        self.assertTrue(self.hand_over.under_way)
        self.hand_over.ready(self.crew.started[1])
        self.assertFalse(self.hand_over.under_way)

    def test_fewer_than_before(self) -> None:
        """One in a slot that there is no more retires, and nobody comes in its place."""
        self.arrive(1, 0, 1)
        self.hand_over.ready(self.crew.started[0])
        self.assertEqual(self.slots(), [0])
        old = self.crew.serving[1]
        self.assertEqual(self.crew.slots.retired, [old])
        self.assertEqual(self.crew.sent, [(old, msg.Retire())])
        self.assertFalse(self.hand_over.under_way)

    def test_a_new_one_does_not_come_up(self) -> None:
        """The others stay as they are."""
        self.arrive(2, 0, 1)
        self.hand_over.ended(self.crew.serving[1], "it has died")
        self.assertTrue(self.hand_over.under_way)
        self.hand_over.ended(self.crew.started[0], "it has died")
        self.assertFalse(self.hand_over.under_way)
        self.hand_over.ready(self.crew.started[0])
        self.assertEqual(self.slots(), [0])

    def test_another_one_comes_up(self) -> None:
        """One in the place of one that has died is not who is waited for: that may fail yet."""
        self.arrive(2, 0, 1)
        self.hand_over.ready(FakeWorker(1))
        self.assertEqual(self.slots(), [0])
        self.hand_over.ended(self.crew.started[0], "it has died")
        self.assertFalse(self.hand_over.under_way)
        self.assertEqual(self.slots(), [0])


class Parent:
    """
    What lets go, when it is told that it may.

    @ivar let_goes: how often it was asked to; C{back}: how often it took all back.
    @ivar meanwhile: called when it says what the next program has to know.
    """

    def __init__(self) -> None:
        self.let_goes = self.back = 0
        self.gone: Deferred[None] = Deferred()
        self.meanwhile: Callable[[], object] = lambda: None

    def places(self) -> list[str]:
        return ["tcp:80"]

    async def let_go(self) -> None:
        self.let_goes += 1
        await self.gone

    def describe(self) -> ParentState:
        self.meanwhile()
        return ParentState()

    def take_back(self) -> None:
        self.back += 1


class SignalledReactor(Clock):
    """
    A clock that begins to stop as a reactor does: at the end of the turn in which it was told to.

    @param stop: begins the stop.
    """

    def __init__(self, stop: Callable[[], object]) -> None:
        super().__init__()
        self._begin_stop = stop

    def callFromThread(self, function: Callable[[], object]) -> None:
        self.callLater(0, function)

    def stop(self) -> None:
        self.callLater(0, self._begin_stop)

    def addSystemEventTrigger(self, phase: str, event: str, function: object) -> None:
        """It never starts."""


class StoppingTests(SynchronousTestCase):
    """Who is told to stop amid a hand-over stops, and the next program never comes."""

    def setUp(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.addCleanup(let_signals_come)
        self.trial: Deferred[None] = Deferred()
        self.patch(module, "try_program", lambda *_: self.trial)
        self.ran: list[object] = []
        self.patch(module.os, "execve", lambda *about: self.ran.append(signal.sigpending()))
        self.crew: Any = FakeCrew(1)
        self.parent = Parent()
        self.reactor = SignalledReactor(lambda: setattr(self.crew.slots, "stopping", True))
        stop_on_signals(self.reactor, lambda: None)
        self.hand_over = ParentHandOver(self.reactor, self.crew, self.parent)
        self.hand_over.begin()

    def terminate(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def test_while_it_is_tried(self) -> None:
        self.crew.slots.stopping = True
        self.trial.callback(None)
        self.assertEqual((self.ran, self.parent.let_goes), ([], 0))
        self.assertFalse(self.hand_over.under_way)

    def test_while_all_is_let_go_of(self) -> None:
        self.trial.callback(None)
        self.crew.slots.stopping = True
        self.parent.gone.callback(None)
        self.reactor.advance(0)
        self.assertEqual((self.ran, self.parent.back), ([], 1))
        self.assertFalse(self.hand_over.under_way)

    def test_in_the_turn_in_which_all_was_let_go_of(self) -> None:
        """Its handler has run, and what that asks for has not: no program must come before."""
        self.trial.callback(None)
        self.terminate()
        self.parent.gone.callback(None)
        self.reactor.advance(0)
        self.assertEqual((self.ran, self.parent.back), ([], 1))
        self.assertFalse(self.hand_over.under_way)

    def test_later(self) -> None:
        """It waits for the next program, which begins with it."""
        self.parent.meanwhile = self.terminate
        self.trial.callback(None)
        self.parent.gone.callback(None)
        self.reactor.advance(0)
        (waiting,) = self.ran
        self.assertIn(signal.SIGTERM, waiting)
        let_signals_come()
        self.reactor.advance(0)
        self.assertTrue(self.crew.slots.stopping)

    def test_not_at_all(self) -> None:
        """Who is not told to stop becomes the next program."""
        self.trial.callback(None)
        self.parent.gone.callback(None)
        self.reactor.advance(0)
        self.assertEqual(self.ran, [set()])

    def test_a_message_is_half_said(self) -> None:
        """The next program waits for its rest, but not for ever."""
        self.crew.settled = False
        self.trial.callback(None)
        self.parent.gone.callback(None)
        self.reactor.pump([0.01] * 50)
        self.assertEqual(self.ran, [])
        self.reactor.pump([0.01] * 60)
        self.assertEqual(len(self.ran), 1)

    def test_one_that_stops_begins_none(self) -> None:
        parent: Any = ParentService.__new__(ParentService)
        parent.running = 1
        parent.crew = FakeCrew()
        parent.crew.slots.stopping = True
        parent._handing_over = ParentHandOver(Clock(), parent.crew, parent)
        parent.hand_over()
        self.assertFalse(parent._handing_over.under_way)


class LeavingTests(SynchronousTestCase):
    def test_a_worker_comes_meanwhile(self) -> None:
        """One that was replaced serves while the next program is tried: that goes on."""
        trial: Deferred[None] = Deferred()
        self.patch(module, "try_program", lambda *_: trial)
        crew: Any = FakeCrew(1)
        handed = mock.Mock()
        handed.places.return_value = ["tcp:80"]
        hand_over = ParentHandOver(Clock(), crew, handed)
        hand_over.begin()
        hand_over.ready(cast("Any", FakeWorker(0)))
        self.assertEqual(hand_over.state, HandOverState.LEAVING)
        self.assertEqual(crew.started, [])
        trial.errback(OSError("it does not start"))
        self.assertFalse(hand_over.under_way)


class HousekeepingTests(SynchronousTestCase):
    def test_a_failure(self) -> None:
        """It is logged, and the next look is taken as ever."""
        parent: Any = ParentService.__new__(ParentService)
        looks: list[int] = []

        def look() -> None:
            looks.append(len(looks))
            raise OSError("no descriptor")

        parent._look = look
        clock = Clock()
        service = PeriodicService(0.25, parent._housekeep, cast("Any", clock))
        service.startService()
        clock.pump([0.25] * 3)
        self.assertEqual(looks, [0, 1, 2, 3])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 4)
        service.stopService()
