"""Tests for L{guest.asyncio.connection}: the conversations of every guest, on asyncio."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any
from unittest import mock

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from guest.asyncio.connection import AsyncioConnection, _AsyncioStream
from guest.asyncio.runtime import asyncio_runtime
from guest.core.errors import ProxySilent, SubscriptionRefused
from guest.core.profile import SubscriberProfile
from guest.core.request import Request
from guest.core.response import Response
from guest.core.route import Route
from guest.core.subscription import EVENTS_A_TURN, GRACE, GREETING
from subproxy.wire import messages as m
from subproxy.wire.frames import encode
from subproxy.wire.limits import Limits
from tests.rigs import vector_runner as vectors
from tests.rigs.asyncio_guest import LoopGuest
from tests.rigs.examples import part_of

WELCOME = encode([b"welcome", {b"version": 1}])


class LoopTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        logger = logging.getLogger("guest")
        self.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL + 1)

    def guest(self, *args: Any, **options: Any) -> LoopGuest:
        guest = LoopGuest(*args, **options)
        self.addCleanup(guest.close)
        return guest

    def greeted(self, *args: Any, **options: Any) -> LoopGuest:
        guest = self.guest(*args, **options)
        guest.frames()
        guest.send(WELCOME + encode([b"registered", 1, {}]))
        return guest


class AsyncioVectorTests(LoopTestCase):
    """It holds every conversation."""

    def test_sessions(self) -> None:
        failed: list[Any] = []
        for each in part_of(vectors.load("sessions.json")["sessions"]):
            for split in (False, True):
                limits = Limits(**each.get("guest", {}))
                guest = LoopGuest(limits=limits, concurrency=each.get("concurrency", 0))
                try:
                    vectors.Run(each, guest, split).run()
                except AssertionError as error:
                    failed.append((each["name"], split, str(error)[:300]))
                guest.close()
        self.assertEqual(failed, [])

    def test_data_connections(self) -> None:
        failed: list[Any] = []
        for each in vectors.load("data.json")["sessions"]:
            for split in (False, True):
                guest = LoopGuest(bulk=True, concurrency=each.get("concurrency", 0))
                try:
                    vectors.DataRun(each, guest, split).run()
                except AssertionError as error:
                    failed.append((each["name"], split, str(error)[:300]))
                guest.close()
        self.assertEqual(failed, [])


class AsyncioConnectionTests(LoopTestCase):
    """What is of the shell."""

    def test_hello_and_routes_at_once(self) -> None:
        frames = self.guest().frames()
        self.assertEqual([frame[0] for frame in frames], [b"hello", b"register"])
        self.assertNotIn(b"bulk", frames[0][1])
        self.assertTrue(self.guest(bulk=True).frames()[0][1][b"bulk"])

    def test_events(self) -> None:
        guest = self.greeted()
        self.assertEqual(guest.told, ["subscribed", ("registered", r"host=blog\.example path=/.*")])

    def test_who_is_told_may_fail(self) -> None:
        """That is logged, and the connection goes on."""

        class Clumsy(LoopGuest):
            def registered(self, route: Route) -> None:
                raise KeyError("on purpose")

            def refused(self, refusal: Any) -> None:
                raise KeyError("on purpose")

        guest = Clumsy(lambda request: Response(200), routes=(Route(rb"a"), Route(rb"b")))
        self.addCleanup(guest.close)
        guest.frames()
        with self.assertLogs("guest", "CRITICAL") as logged:
            guest.send(WELCOME + encode([b"registered", 1, {}]))
            guest.send(encode([b"refused", 2, b"policy", b"no"]))
        self.assertEqual(len(logged.output), 2)
        guest.send(m.Request(1, b"GET", b"/x", []).encode())
        self.assertEqual(guest.frames()[-1][:3], [b"response", 1, 200])

    def test_an_answer_at_once(self) -> None:
        """An application need not be a coroutine."""
        guest = self.greeted(lambda request: Response(200, [], request.target))
        guest.send(m.Request(1, b"GET", b"/x", []).encode())
        self.assertEqual(guest.frames(), [[b"response", 1, 200, [], {}, b"/x"]])

    def test_responses_of_one_turn_are_one_write(self) -> None:
        """Whether they are complete while requests are read, or later, each by itself."""
        waiting: list[asyncio.Future[None]] = []

        async def answer(request: Request) -> Response:
            if request.target == b"/slow":
                waiter = asyncio.get_running_loop().create_future()
                waiting.append(waiter)
                await waiter
            return Response(200, [], b"")

        guest = self.greeted(answer)
        guest.frames()
        for target, first in ((b"/quick", 1), (b"/slow", 4)):
            requests = [m.Request(first + i, b"GET", target, []).encode() for i in range(3)]
            guest.send(b"".join(requests))
            for waiter in waiting:
                waiter.set_result(None)
            guest.loop.advance()
            self.assertEqual(len(guest.stream.written), 1, target)
            self.assertEqual([frame[1] for frame in guest.frames()], [first, first + 1, first + 2])

    def test_much_does_not_wait_for_the_end_of_a_turn(self) -> None:
        guest = self.greeted()
        guest.frames()
        later: list[Any] = []
        stream, written = _AsyncioStream(guest.stream, later.append), guest.stream.written
        stream.write(b"a" * 40_000)
        self.assertEqual((written, len(later)), ([], 1))
        stream.write(b"b" * 40_000)
        self.assertEqual([len(each) for each in written], [80_000])
        stream.write(b"c")
        stream.close()
        self.assertEqual((written[1:], guest.stream.closing), ([b"c"], True))
        for each in later:
            each()
        self.assertEqual(len(written), 2)

    def test_who_leaves_is_cancelled(self) -> None:
        ended: list[str] = []

        async def waiting(request: Request) -> Response:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append("ended")
            raise AssertionError

        guest = self.greeted(waiting)
        guest.send(m.Request(1, b"GET", b"/", []).encode())
        self.assertEqual(ended, [])
        guest.send(m.Abort(1, b"client").encode())
        self.assertEqual(ended, ["ended"])

    def test_a_body_that_nobody_takes_any_more_is_closed(self) -> None:
        """Also where the client leaves in the very turn in which it is asked for."""
        closed: list[bool] = []

        class Body:
            def __aiter__(self) -> Any:
                return self

            async def __anext__(self) -> bytes:
                return b"x" * 1000

            async def aclose(self) -> None:
                closed.append(True)

        guest = self.greeted(lambda request: Response(200, [], Body()))
        guest.send(m.Request(1, b"GET", b"/", []).encode() + m.Abort(1, b"client").encode())
        self.assertEqual(closed, [True])
        self.assertEqual(len(guest.connection.subscription.exchanges), 0)

    def test_many_messages_take_turns(self) -> None:
        guest = self.greeted(lambda request: Response(200))
        asked = b"".join(
            m.Request(number, b"GET", b"/", []).encode() for number in range(1, EVENTS_A_TURN + 2)
        )

        async def one_turn() -> tuple[int, bool]:
            guest.connection.data_received(asked)
            return len(guest.frames()), guest.stream.reading

        seen = guest.loop.run_until_complete(one_turn())
        self.assertEqual(seen, (EVENTS_A_TURN, False))
        guest.loop.advance()
        self.assertEqual((len(guest.frames()), guest.stream.reading), (1, True))

    def test_streams_wait_for_the_transport(self) -> None:
        guest = self.greeted(lambda request: Response(200, [], iter([b"1", b"2", b"3"])))
        guest.connection.pause_writing()
        guest.send(m.Request(1, b"GET", b"/", []).encode())
        self.assertEqual([frame[0] for frame in guest.frames()], [b"response"])
        guest.connection.resume_writing()
        guest.loop.advance()
        self.assertEqual(guest.frames()[-1][0], b"end")

    def test_the_transport_of_uvloop(self) -> None:
        """Streams go on long before its buffer is empty, as with asyncio's own."""
        try:
            import uvloop
        except ImportError:
            raise SkipTest("no uvloop here") from None
        loop = uvloop.new_event_loop()
        self.addCleanup(loop.close)
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        theirs.setblocking(False)
        waited: list[int] = []

        class Watched(AsyncioConnection):
            def resume_writing(self) -> None:
                waited.append(self._transport.get_write_buffer_size())
                super().resume_writing()

        events: Any = mock.Mock()
        profile = SubscriberProfile("uvloop")

        async def fill() -> None:
            connection = Watched(
                asyncio_runtime(loop), profile, lambda request: Response(200), events, events
            )
            transport, _ = await loop.create_unix_connection(lambda: connection, sock=ours)
            for _ in range(50):
                transport.write(bytes(4000))
                await asyncio.sleep(0)  # what is written in one turn leaves as one
            while not waited:
                await loop.sock_recv(theirs, 1024)
            transport.abort()
            await connection.lost

        loop.run_until_complete(fill())
        self.assertGreater(waited[0], 1024)

    def test_a_dial_that_is_cancelled_when_it_is_there(self) -> None:
        """What it says first has left by then: a closed transport of uvloop takes nothing."""
        try:
            import uvloop
        except ImportError:
            raise SkipTest("no uvloop here") from None
        loop = uvloop.new_event_loop()
        self.addCleanup(loop.close)
        failures: list[Any] = []
        loop.set_exception_handler(lambda _, context: failures.append(context))
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        events: Any = mock.Mock()
        dialling: list[asyncio.Task[Any]] = []

        class Cancelled(AsyncioConnection):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                dialling[0].cancel()
                super().connection_made(transport)

        async def dial() -> None:
            profile = SubscriberProfile("uvloop", (Route(rb"a"),))
            connection = Cancelled(
                asyncio_runtime(loop), profile, lambda request: Response(200), events, events
            )
            made = loop.create_unix_connection(lambda: connection, sock=ours)
            dialling.append(loop.create_task(made))
            await asyncio.wait(dialling)
            await asyncio.sleep(0.01)

        loop.run_until_complete(dial())
        self.assertTrue(dialling[0].cancelled())
        self.assertEqual(failures, [])

    def test_a_silent_proxy(self) -> None:
        guest = self.guest()
        leaving = guest.loop.create_task(guest.connection.when_leaving())
        guest.wait(GREETING + GRACE - 0.1)
        self.assertFalse(guest.stream.closing)
        guest.wait(0.2)
        self.assertTrue(guest.stream.aborted)
        guest.loop.advance()
        self.assertIsInstance(leaving.result(), ProxySilent)

    def test_refused(self) -> None:
        guest = self.guest()
        leaving = guest.loop.create_task(guest.connection.when_leaving())
        guest.send(encode([b"refused", 0, b"policy", b"not you"]))
        self.assertIsInstance(leaving.result(), SubscriptionRefused)

    def test_the_end_of_a_connection_has_words(self) -> None:
        guest = self.greeted()
        leaving = guest.loop.create_task(guest.connection.when_leaving())
        guest.stream.lose(None)
        guest.loop.advance()
        self.assertEqual(str(leaving.result()), "the connection was closed")
        self.assertTrue(guest.connection.lost.done())
