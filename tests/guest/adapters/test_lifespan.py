"""Tests for L{guest.adapters.lifespan}."""

from __future__ import annotations

import logging
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from guest.adapters.lifespan import Lifespan, LifespanFailed
from guest.asyncio.runtime import asyncio_runtime
from guest.twisted.runtime import twisted_runtime
from tests.rigs.asyncio_guest import ToldLoop


class LifespanTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop = ToldLoop()
        self.addCleanup(self.loop.close)
        self.got: list[str] = []
        logger = logging.getLogger("guest")
        self.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL + 1)

    def lifespan(self, application: Any) -> Lifespan:
        return self.loop.result(self._make(application))

    async def _make(self, application: Any) -> Lifespan:
        return Lifespan(application, asyncio_runtime(self.loop))

    async def usual(self, scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["database"] = "open"
        while True:
            kind = (await receive())["type"]
            self.got.append(kind)
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    def test_usual(self) -> None:
        lifespan = self.lifespan(self.usual)
        self.loop.result(lifespan.start())
        self.assertEqual(lifespan.state, {"database": "open"})
        self.loop.result(lifespan.stop(10))
        self.assertEqual(self.got, ["lifespan.startup", "lifespan.shutdown"])

    def test_an_application_that_raises_is_served_without(self) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            assert scope["type"] == "http"

        lifespan = self.lifespan(application)
        self.loop.result(lifespan.start())
        self.assertIsNone(lifespan.state)
        self.loop.result(lifespan.stop(10))

    def test_it_says_that_it_can_not_start(self) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})

        lifespan = self.lifespan(application)
        with self.assertRaises(LifespanFailed) as caught:
            self.loop.result(lifespan.start())
        self.assertEqual(str(caught.exception), "no database")

    def test_it_says_that_it_can_not_end(self) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.failed"})

        lifespan = self.lifespan(application)
        self.loop.result(lifespan.start())
        self.loop.result(lifespan.stop(10))

    def test_it_fails_when_it_has_started(self) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "lifespan.startup.complete"})
            raise RuntimeError("on purpose")

        lifespan = self.lifespan(application)
        self.loop.result(lifespan.start())
        self.loop.result(lifespan.stop(10))

    def test_it_does_not_end(self) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "lifespan.startup.complete"})
            await self.loop.create_future()

        lifespan = self.lifespan(application)
        self.loop.result(lifespan.start())
        stopping = self.loop.create_task(lifespan.stop(10))
        self.loop.advance()
        self.loop.advance(9)
        self.assertFalse(stopping.done())
        self.loop.advance(2)
        self.assertTrue(stopping.done())

    def test_a_message_that_is_none(self) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start"})

        lifespan = self.lifespan(application)
        self.loop.result(lifespan.start())
        self.assertIsNone(lifespan.state)


class BegunAtOnceTests(SynchronousTestCase):
    """Where a task begins at once, within another one too.

    That is so from Python 3.12 on; on Twisted it is in every version.
    """

    def started(self, *said: str) -> tuple[Lifespan, Deferred[None]]:
        """The lifespan of an application that says C{said}, and its start."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            for each in said:
                await receive()
                await send({"type": f"lifespan.{each}"})

        lifespan = Lifespan(application, twisted_runtime(Clock()))
        return lifespan, Deferred.fromCoroutine(lifespan.start())

    def test_usual(self) -> None:
        lifespan, start = self.started("startup.complete", "shutdown.complete")
        self.successResultOf(start)
        self.assertEqual(lifespan.state, {})
        self.successResultOf(Deferred.fromCoroutine(lifespan.stop(10)))

    def test_it_has_none(self) -> None:
        lifespan, start = self.started()
        self.successResultOf(start)
        self.assertIsNone(lifespan.state)

    def test_it_can_not_start(self) -> None:
        _, start = self.started("startup.failed")
        self.failureResultOf(start, LifespanFailed)
