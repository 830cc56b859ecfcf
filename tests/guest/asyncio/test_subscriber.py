"""Tests for L{guest.asyncio.subscriber} and its runner, against a proxy in memory."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import logging
import signal
from collections.abc import Callable
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from guest.asyncio.address import ProxyAddress
from guest.asyncio.connection import AsyncioConnection
from guest.asyncio.runner import AsyncioRunner, begin_logging, run_in_loop
from guest.asyncio.subscriber import AsyncioSubscriber
from guest.core.errors import RegistrationRefused, SubscriptionEnded, SubscriptionReplaced
from guest.core.profile import SubscriberProfile
from guest.core.response import Response
from guest.core.route import Route
from guest.core.statuses import REFUSED, REPLACED
from subproxy.wire.frames import encode
from tests.rigs.asyncio_guest import MemoryStream, ToldLoop
from tests.rigs.vector_runner import decoded

ROUTE = Route(rb"a\.example")


class MemoryAddress(ProxyAddress):
    """Dials a proxy in memory, unless it C{fails}."""

    def __init__(self, loop: ToldLoop) -> None:
        self._loop = loop
        self.lines: list[Line] = []
        self.dials = 0
        self.fails: OSError | None = None

    async def connect(self, factory: Callable[[], Any]) -> Any:
        self.dials += 1
        if self.fails is not None:
            raise self.fails
        connection = factory()
        line = Line(self._loop, connection)
        self.lines.append(line)
        connection.connection_made(line.stream)
        return connection

    async def _connect(self, loop: Any, factory: Any) -> Any:
        raise NotImplementedError


class Line:
    """One subscription, seen from the proxy."""

    def __init__(self, loop: ToldLoop, connection: AsyncioConnection) -> None:
        self._loop = loop
        self.connection = connection
        self.stream = MemoryStream(loop, connection)

    def say(self, *frames: list[Any]) -> None:
        data = b"".join(map(encode, frames))
        self._loop.call_soon(self.connection.data_received, data)
        self._loop.advance()

    def said(self) -> list[Any]:
        return decoded(self.stream.take())

    def lose(self) -> None:
        self.stream.lose(None)
        self._loop.advance()


WELCOME = [b"welcome", {b"version": 1}]


class SubscriberCase(SynchronousTestCase):
    def setUp(self) -> None:
        logger = logging.getLogger("guest")
        self.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL + 1)
        self.loop = ToldLoop()
        self.addCleanup(self.close)
        self.address = MemoryAddress(self.loop)
        self.profile = SubscriberProfile("a", [ROUTE])
        self.told: list[Any] = []

    def close(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.advance()
        self.loop.close()

    def registered(self, route: Route) -> None:
        self.told.append(route)

    def refused(self, refusal: Any) -> None:
        self.told.append(refusal.code)

    async def make(self, **options: Any) -> AsyncioSubscriber:
        return AsyncioSubscriber(
            self.address,
            self.profile,
            lambda request: Response(200),
            self,
            where="memory",
            chance=lambda: 1.0,
            **options,
        )

    def start(self, **options: Any) -> AsyncioSubscriber:
        subscriber = self.loop.result(self.make(**options))
        subscriber.start()
        self.loop.advance()
        return subscriber


class AsyncioSubscriberTests(SubscriberCase):
    def test_it_dials(self) -> None:
        self.start()
        (line,) = self.address.lines
        self.assertTrue(line.said()[0][1][b"bulk"])
        line.say(WELCOME, [b"registered", 1, {}])
        self.assertEqual(self.told, [ROUTE])

    def test_without_data_connections(self) -> None:
        self.start(data_connections=False)
        self.assertNotIn(b"bulk", self.address.lines[0].said()[0][1])

    def test_it_dials_again(self) -> None:
        self.start()
        self.address.lines[0].lose()
        self.assertEqual(self.address.dials, 1)
        self.loop.advance(0.05)
        self.assertEqual(self.address.dials, 2)
        self.address.fails = ConnectionRefusedError(111, "refused")
        self.address.lines[1].lose()
        self.loop.advance(0.1)
        self.assertEqual(self.address.dials, 3)
        self.loop.advance(0.1)
        self.assertEqual(self.address.dials, 3)
        self.loop.advance(0.1)
        self.assertEqual(self.address.dials, 4)

    def test_when_the_proxy_drains(self) -> None:
        """The next connection is made before the old one is finished."""
        self.start()
        (line,) = self.address.lines
        line.say(WELCOME)
        self.loop.advance(1)
        line.say([b"drain", {}])
        self.assertEqual(self.address.dials, 2)

    def test_replaced(self) -> None:
        subscriber = self.start()
        self.address.lines[0].say(WELCOME, [b"bye", b"replaced", b"newer"])
        self.assertIsInstance(subscriber.over.result(), SubscriptionReplaced)
        self.loop.advance(10)
        self.assertEqual(self.address.dials, 1)

    def test_stop(self) -> None:
        subscriber = self.start()
        (line,) = self.address.lines
        line.say(WELCOME, [b"registered", 1, {}])
        line.said()
        stopping = self.loop.create_task(subscriber.stop())
        self.loop.advance()
        self.assertEqual([frame[0] for frame in line.said()], [b"drain", b"unregister"])
        line.say([b"unregistered", 1])
        line.say([b"bye", b"done", b""])
        self.assertTrue(stopping.done())
        self.assertEqual(self.address.dials, 1)

    def test_stop_while_a_route_is_asked_for(self) -> None:
        """Who waits for it learns that it is not given, whatever the proxy says then."""
        subscriber = self.start()
        (line,) = self.address.lines
        line.say(WELCOME, [b"registered", 1, {}])
        (connection,) = subscriber._connections
        asked = connection.subscription.register(Route(b"b"))
        self.loop.create_task(subscriber.stop())
        self.loop.advance()
        line.say([b"registered", 2, {}], [b"unregistered", 1], [b"unregistered", 2])
        self.assertIsInstance(asked.exception(), SubscriptionEnded)

    def test_stop_while_there_is_none(self) -> None:
        self.address.fails = ConnectionRefusedError(111, "refused")
        subscriber = self.start()
        self.loop.result(subscriber.stop())
        self.loop.advance(10)
        self.assertEqual(self.address.dials, 1)

    def test_abort(self) -> None:
        subscriber = self.start()
        subscriber.abort()
        self.assertTrue(self.address.lines[0].stream.aborted)

    def test_restored(self) -> None:
        subscriber = self.start()
        before = self.profile.instance
        subscriber.restored()
        self.loop.advance()
        self.loop.advance(0.05)
        self.assertNotEqual(before, self.profile.instance)
        self.assertEqual(self.address.dials, 2)

    def test_routes_come_and_go(self) -> None:
        subscriber = self.start()
        (line,) = self.address.lines
        line.say(WELCOME, [b"registered", 1, {}])
        line.said()
        more = Route(b"b", b"/x")
        registering = self.loop.create_task(subscriber.register(more))
        self.loop.advance()
        self.assertEqual(line.said(), [[b"register", 2, b"b", b"/x", {}]])
        self.assertFalse(registering.done())
        line.say([b"registered", 2, {}])
        self.assertTrue(registering.done())
        leaving = self.loop.create_task(subscriber.unregister(more))
        self.loop.advance()
        self.assertEqual(line.said(), [[b"unregister", 2]])
        line.say([b"unregistered", 2])
        self.assertTrue(leaving.done())
        self.assertEqual(self.profile.routes, [ROUTE])

    def test_a_route_is_given_back_before_it_was_granted(self) -> None:
        subscriber = self.start()
        (line,) = self.address.lines
        line.say(WELCOME)
        line.said()
        leaving = self.loop.create_task(subscriber.unregister(ROUTE))
        self.loop.advance()
        self.assertEqual(line.said(), [[b"unregister", 1]])
        line.say([b"registered", 1, {}], [b"unregistered", 1])
        self.assertEqual((leaving.done(), self.told), (True, []))

    def test_a_route_is_given_back_that_was_too_fast(self) -> None:
        subscriber = self.start()
        (line,) = self.address.lines
        line.say(WELCOME, [b"refused", 1, b"too-fast", b"later"])
        self.loop.result(subscriber.unregister(ROUTE))
        line.said()
        self.loop.advance(2)
        self.assertEqual(line.said(), [])

    def test_a_route_is_given_back_that_is_refused(self) -> None:
        """Meanwhile, for whatever reason: no request comes for it, as was asked."""
        for code in (b"policy", b"too-fast"):
            subscriber = self.start()
            line = self.address.lines[-1]
            line.say(WELCOME)
            leaving = self.loop.create_task(subscriber.unregister(ROUTE))
            self.loop.advance()
            line.say([b"refused", 1, code, b"not yours"])
            self.assertTrue(leaving.done())
            self.assertIsNone(leaving.exception())
            line.said()
            self.loop.advance(2)
            self.assertEqual(line.said(), [])
        self.assertEqual(self.told, [])

    def test_a_route_is_refused(self) -> None:
        subscriber = self.start()
        (line,) = self.address.lines
        line.say(WELCOME, [b"registered", 1, {}])
        registering = self.loop.create_task(subscriber.register(Route(b"b")))
        self.loop.advance()
        line.say([b"refused", 2, b"policy", b"not yours"])
        self.assertIsInstance(registering.exception(), RegistrationRefused)


class AsyncioRunnerTests(SubscriberCase):
    def setUp(self) -> None:
        super().setUp()
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.output, self.errors = io.StringIO(), io.StringIO()
        stack = contextlib.ExitStack()
        stack.enter_context(contextlib.redirect_stdout(self.output))
        stack.enter_context(contextlib.redirect_stderr(self.errors))
        self.addCleanup(stack.close)

    def run_it(self, keep_going: bool = False) -> asyncio.Task[int]:
        async def main() -> int:
            self.runner = AsyncioRunner(keep_going)
            subscriber = AsyncioSubscriber(
                self.address, self.profile, lambda request: Response(200), self.runner
            )
            return await self.runner.run(subscriber)

        task = self.loop.create_task(main())
        self.loop.advance()
        return task

    def test_registrations_are_printed(self) -> None:
        self.run_it()
        self.address.lines[0].say(WELCOME, [b"registered", 1, {}])
        self.assertEqual(self.output.getvalue(), "registered host=a\\.example path=/.*\n")

    def test_nobody_reads_what_is_printed(self) -> None:
        """A disk that is full, or a pipe that is closed, costs the line, and nothing else."""
        self.output.write = mock.Mock(side_effect=OSError(errno.ENOSPC, "No space left"))  # type: ignore[method-assign]
        self.run_it()
        (line,) = self.address.lines
        line.say(WELCOME, [b"registered", 1, {}])
        self.output.write.assert_called()
        self.assertFalse(line.stream.closing)

    def test_a_signal_drains(self) -> None:
        running = self.run_it()
        (line,) = self.address.lines
        line.say(WELCOME, [b"registered", 1, {}])
        signal.raise_signal(signal.SIGTERM)
        self.loop.advance()
        self.assertEqual(line.said()[-1][0], b"unregister")
        self.assertTrue(self.runner.stopping)
        line.say([b"unregistered", 1], [b"bye"])
        self.assertEqual(running.result(), 0)

    def test_a_second_signal_does_not_wait(self) -> None:
        running = self.run_it()
        (line,) = self.address.lines
        line.say(WELCOME, [b"registered", 1, {}])
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
            self.loop.advance()
        self.assertEqual((running.result(), line.stream.aborted), (0, True))

    def test_a_signal_before_it_runs(self) -> None:
        async def main() -> int:
            runner = AsyncioRunner()
            runner.stop(0)
            return await runner.run(await self.make())

        self.assertEqual(self.loop.result(main()), 0)
        self.assertEqual(self.address.dials, 0)

    def test_a_signal_before_all_is_ready(self) -> None:
        """What comes before the subscription, a lifespan that hangs, say, does not hold it up."""
        cancelled: list[str] = []

        async def hangs() -> None:
            try:
                await self.loop.create_future()
            finally:
                cancelled.append("cancelled")

        async def fails() -> None:
            raise KeyError("on purpose")

        async def main() -> list[bool]:
            runner = AsyncioRunner()
            found = [await runner.unless_stopped(asyncio.sleep(0))]
            with self.assertRaises(KeyError):
                await runner.unless_stopped(fails())
            found.append(await runner.unless_stopped(hangs()))
            return found

        running = self.loop.create_task(main())
        self.loop.advance()
        self.assertFalse(running.done())
        signal.raise_signal(signal.SIGTERM)
        self.loop.advance()
        self.assertEqual(running.result(), [True, False])
        self.assertEqual(cancelled, ["cancelled"])

    def test_a_refused_route_ends_it(self) -> None:
        running = self.run_it()
        self.address.lines[0].say(WELCOME, [b"refused", 1, b"policy", b"not yours"])
        self.address.lines[0].lose()
        self.assertEqual(running.result(), REFUSED)
        self.assertIn("guest: refused host=a\\.example path=/.*: not yours (policy)",
                      self.errors.getvalue())  # fmt: skip

    def test_unless_it_is_to_keep_going(self) -> None:
        running = self.run_it(keep_going=True)
        self.address.lines[0].say(WELCOME, [b"refused", 1, b"policy", b"not yours"])
        self.assertFalse(running.done())

    def test_replaced(self) -> None:
        running = self.run_it()
        self.address.lines[0].say(WELCOME, [b"bye", b"replaced", b"newer"])
        self.assertEqual(running.result(), REPLACED)
        self.assertIn("newer", self.errors.getvalue())


class RunInLoopTests(SynchronousTestCase):
    def test_what_is_left_is_ended(self) -> None:
        ended: list[str] = []

        async def left() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append("ended")

        async def main() -> int:
            self.task = asyncio.get_running_loop().create_task(left())
            await asyncio.sleep(0)
            return 7

        self.assertEqual(run_in_loop(main, asyncio.new_event_loop), 7)
        self.assertEqual(ended, ["ended"])

    def test_the_form_of_the_log(self) -> None:
        root = logging.getLogger()
        handlers, level = root.handlers[:], logging.getLogger("guest").level
        root.handlers.clear()
        errors = io.StringIO()
        try:
            with contextlib.redirect_stderr(errors):
                begin_logging("warn")
                logging.getLogger("guest").info("not this")
                logging.getLogger("guest").warning("this")
        finally:
            root.handlers[:] = handlers
            logging.getLogger("guest").setLevel(level)
        self.assertRegex(
            errors.getvalue(), r"^\d{4}-\d\d-\d\dT[\d:]+[+-]\d{4} \[guest#warn\] this\n$"
        )
