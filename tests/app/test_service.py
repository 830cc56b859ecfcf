"""The proxy as a service: housekeeping, and the order of a stop."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app import service as module
from subproxy.app.listener import ListenerService
from subproxy.app.service import CLOSING_LIMIT, HOUSEKEEPING_INTERVAL, ProxyService
from subproxy.app.site_files_service import SiteFilesService
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.router import Router
from tests.app.test_listener import FakeEndpoint, FakePort


class Recorder:
    """Stands at each place that a stop passes, and notes it."""

    seconds: Callable[[], float]

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.drained: Deferred[None] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self.active = 2
        self.fail = False

    def now(self) -> float:
        return self.seconds()

    def expire(self, now: float) -> None:
        self.steps.append("expire")
        if self.fail:
            raise RuntimeError("housekeeping")

    def drain(self) -> Deferred[None]:
        self.steps.append("drain")
        return self.drained

    def close(self, *reason: object) -> Deferred[None]:
        self.steps.append("bye" if reason else "close")
        return self.ended


class ProxyServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.recorder = Recorder()
        self.recorder.seconds = self.clock.seconds
        self.port = FakePort()
        listener = ListenerService(
            FakeEndpoint(succeed(self.port)),
            None,
            "HTTP",
            "tcp:1",  # type: ignore[arg-type]
        )
        self.guests_port = FakePort()
        guests = ListenerService(
            FakeEndpoint(succeed(self.guests_port)),
            None,  # type: ignore[arg-type]
            "guests",
            "x.sock",
        )
        self.service = ProxyService(
            self.clock,
            self.recorder,  # type: ignore[arg-type]
            self.recorder,  # type: ignore[arg-type]
            self.recorder,  # type: ignore[arg-type]
            self.recorder,  # type: ignore[arg-type]
            [listener],
            [guests],
            5.0,
            site_files=SiteFilesService(self.clock, Router(Registry()), ()),
        )
        self.service.startService()
        self.recorder.steps.clear()

    def hand_over(self, reactor: object = None) -> None:
        """Let a new process be started, which C{self.next} stands for."""
        recorder: Any = self.recorder
        recorder.assigned = SimpleNamespace(plain={})
        recorder.registry = Registry()
        self.killed = 0

        def kill(_: object) -> None:
            self.killed += 1

        async def start(*about: object) -> int:
            self.started += 1
            return await self.next

        self.started = 0
        self.next: Deferred[int] = Deferred(kill)
        self.patch(module, "start_new_process", start)
        self.patch(module, "SocketHandoff", lambda *about: SimpleNamespace())
        self.service.hand_over(reactor)

    def test_stopped_when_another_has_taken_over(self) -> None:
        """That is no failure of the hand-over: it ends all the same."""

        class Stopped:
            def stop(self) -> None:
                raise ReactorNotRunning

        async def retired(_: object) -> None:
            """All is answered."""

        self.service._retire = retired  # type: ignore[assignment, method-assign]
        self.hand_over(Stopped())
        self.next.callback(1)
        self.assertEqual([], self.flushLoggedErrors())

    def test_stopped_amid_a_hand_over(self) -> None:
        """The new process is not to take over any more: it would listen at closed sockets."""
        self.hand_over()
        self.assertEqual((self.started, self.killed), (1, 0))
        self.stop()
        self.assertEqual(self.killed, 1)
        self.service.hand_over(None)
        self.assertEqual(self.started, 1)

    def test_a_hand_over_that_fails(self) -> None:
        """All goes on, and another one may begin."""
        self.hand_over()
        self.next.errback(OSError("it does not start"))
        self.next = Deferred()
        self.service.hand_over(None)
        self.assertEqual(self.started, 2)

    def stop(self) -> Deferred[None]:
        stopped = self.service.stopService()
        assert self.port.stopped is not None
        self.port.stopped.callback(None)
        return stopped

    def test_housekeeping(self) -> None:
        """What has expired is looked after again and again, even if that fails once."""
        self.recorder.fail = True
        self.clock.advance(HOUSEKEEPING_INTERVAL)
        self.assertEqual(self.recorder.steps, ["expire"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.recorder.fail = False
        self.clock.advance(HOUSEKEEPING_INTERVAL)
        self.assertEqual(self.recorder.steps, ["expire"] * 3)

    def test_stop_in_order(self) -> None:
        """Nothing new, then what is in flight, then the guests, then all connections."""
        stopped = self.stop()
        self.assertEqual(self.recorder.steps, ["drain"])
        self.assertIsNone(self.guests_port.stopped)
        self.recorder.drained.callback(None)
        # Who is sent away dials again at once: by then nobody may be accepted.
        self.assertEqual(self.recorder.steps, ["drain"])
        assert self.guests_port.stopped is not None
        self.guests_port.stopped.callback(None)
        self.assertEqual(self.recorder.steps, ["drain", "bye"])
        self.assertNoResult(stopped)
        self.recorder.ended.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.recorder.steps, ["drain", "bye", "close"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_can_be_hurried(self) -> None:
        """Who is told a second time waits for nobody any longer."""
        stopped = self.stop()
        self.service.hurry()
        self.clock.advance(0)
        self.assertIn("bye", self.recorder.steps)
        self.clock.advance(0)
        self.successResultOf(stopped)
        self.assertEqual(self.recorder.steps[-1], "close")

    def test_each_of_two_waits_is_hurried(self) -> None:
        """Amid the last answers of a hand-over it is told to stop, and that is told again."""
        first = Deferred.fromCoroutine(self.service._within(5.0, Deferred()))
        stopped = self.stop()
        second = Deferred.fromCoroutine(self.service._within(5.0, Deferred()))
        self.service.hurry()
        for _ in range(4):
            self.clock.advance(0)
        for each in (first, second, stopped):
            self.successResultOf(each)

    def test_when_listening(self) -> None:
        """It is told that every listener has what it wants."""
        self.successResultOf(self.service.when_listening())

    def test_stop_has_limits(self) -> None:
        """Who does not finish in time is cut off."""
        stopped = self.stop()
        self.clock.advance(5.0)
        self.assertEqual(self.recorder.steps.count("bye"), 0)
        self.clock.advance(CLOSING_LIMIT)
        self.assertIn("bye", self.recorder.steps)
        self.clock.advance(CLOSING_LIMIT)
        self.successResultOf(stopped)
        self.assertEqual(self.recorder.steps[-1], "close")
