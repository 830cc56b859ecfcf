"""Tests for L{guest.asyncio.loop} and L{guest.asyncio.runtime}: tasks that begin at once."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from guest.asyncio.loop import loop_maker
from guest.asyncio.runtime import asyncio_runtime

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outer")


class LoopTests(SynchronousTestCase):
    """On either event loop, and whatever this Python does by itself."""

    kinds = ("asyncio", "uvloop")

    def in_turn(self, kind: str, function: Callable[[asyncio.AbstractEventLoop], Any]) -> Any:
        """What C{function} returns that is called by the loop, as a protocol is."""
        loop = loop_maker(kind)()

        async def main() -> Any:
            result = loop.create_future()
            loop.call_soon(lambda: result.set_result(function(loop)))
            return await result

        try:
            return loop.run_until_complete(main())
        finally:
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    def test_a_task_begins_at_once(self) -> None:
        for kind in self.kinds:
            seen: list[Any] = []

            async def task(seen: list[Any] = seen) -> int:
                seen.append(asyncio.current_task())
                return 7

            def begin(loop: Any, task: Any = task) -> Any:
                runtime = asyncio_runtime(loop)
                begun = runtime.start(task())
                told: list[Any] = []
                runtime.when_done(begun, told.append)
                return begun, runtime.is_called(begun), told, asyncio.current_task()

            begun, called, told, current = self.in_turn(kind, begin)
            self.assertEqual((seen, called, told, current), ([begun], True, [None], None))

    def test_one_that_waits_goes_on_as_the_same(self) -> None:
        for kind in self.kinds:
            seen: list[Any] = []

            async def task(seen: list[Any] = seen) -> None:
                seen.append(asyncio.current_task())
                await asyncio.sleep(0)
                seen.append(asyncio.current_task())

            async def wait(task: Any) -> None:
                await task

            loop = loop_maker(kind)()
            begun: list[Any] = []
            loop.call_soon(lambda: begun.append(asyncio_runtime(loop).start(task())))  # noqa: B023
            loop.run_until_complete(asyncio.sleep(0.01))
            loop.close()
            self.assertEqual(seen, begun * 2)

    def test_each_has_a_context_of_its_own(self) -> None:
        for kind in self.kinds:

            async def task() -> None:
                VARIABLE.set("inner")

            def begin(loop: Any) -> str:
                asyncio_runtime(loop).start(task())
                return VARIABLE.get()

            self.assertEqual(self.in_turn(kind, begin), "outer")

    def test_what_it_raises(self) -> None:
        for kind in self.kinds:

            async def task() -> None:
                raise KeyError("a")

            def begin(loop: Any) -> list[Any]:
                runtime = asyncio_runtime(loop)
                told: list[Any] = []
                runtime.when_done(runtime.start(task()), told.append)
                return told

            (error,) = self.in_turn(kind, begin)
            self.assertIsInstance(error, KeyError)

    def test_within_another_task(self) -> None:
        """Then it begins later, before Python 3.12; a cancel comes behind its first step."""
        for kind in self.kinds:
            seen: list[str] = []

            async def task(seen: list[str] = seen) -> None:
                try:
                    await asyncio.sleep(60)
                finally:
                    seen.append("closed")

            async def main() -> BaseException | None:
                loop = asyncio.get_running_loop()
                runtime = asyncio_runtime(loop)
                told: asyncio.Future[BaseException | None] = loop.create_future()
                begun = runtime.start(task())
                begun.cancel()
                runtime.when_done(begun, told.set_result)
                return await told

            loop = loop_maker(kind)()
            error = loop.run_until_complete(main())
            loop.close()
            self.assertIsInstance(error, asyncio.CancelledError)
            self.assertEqual(seen, ["closed"])

    def test_a_loop_of_others(self) -> None:
        async def task() -> int:
            return 7

        async def main() -> Any:
            loop = asyncio.get_running_loop()
            runtime = asyncio_runtime(loop)
            told: asyncio.Future[BaseException | None] = loop.create_future()
            runtime.when_done(runtime.start(task()), told.set_result)
            return await told

        self.assertIsNone(asyncio.run(main()))

    def test_calls_are_as_ever(self) -> None:
        for kind in self.kinds:
            seen: list[Any] = []
            loop = loop_maker(kind)()
            loop.call_soon(seen.append, 1)
            handle = loop.call_soon(seen.append, 2)
            handle.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
            self.assertEqual(seen, [1])

    def test_futures(self) -> None:
        def use(loop: Any) -> list[Any]:
            runtime = asyncio_runtime(loop)
            one, other = runtime.future(), runtime.future()
            for _ in range(2):
                runtime.resolve(one, 1)
                runtime.reject(other, KeyError("a"))
            return [one.result(), type(other.exception())]  # type: ignore[attr-defined]

        self.assertEqual(self.in_turn("asyncio", use), [1, KeyError])

    def test_the_log(self) -> None:
        def use(loop: Any) -> None:
            log = asyncio_runtime(loop).log
            log.info("i {n}", n=1)
            log.warn("w {n}", n=2)
            log.error("e {n}", n=3)
            try:
                raise KeyError("a")
            except KeyError as error:
                log.failure("f {n}", error, n=4)

        logger = logging.getLogger("guest")
        level, logger.level = logger.level, logging.WARNING
        records: list[logging.LogRecord] = []
        handler = logging.Handler()
        handler.emit = records.append  # type: ignore[method-assign]
        logger.addHandler(handler)
        propagate, logger.propagate = logger.propagate, False
        try:
            self.in_turn("asyncio", use)
        finally:
            logger.removeHandler(handler)
            logger.propagate = propagate
            logger.setLevel(level)
        self.assertEqual([each.getMessage() for each in records], ["w 2", "e 3", "f 4"])
        assert records[2].exc_info is not None
        self.assertIs(records[2].exc_info[0], KeyError)

    def test_a_loop_that_is_not_there(self) -> None:
        import sys

        self.patch(sys, "modules", {**sys.modules, "uvloop": None})
        self.assertRaises(ValueError, loop_maker, "uvloop")
