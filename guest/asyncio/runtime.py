"""asyncio's way to wait, to keep time and to run coroutines, for the core of a guest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from guest.asyncio.framework import asyncio_futures
from guest.asyncio.loop import task_beginner
from guest.core.framework import resolver
from guest.core.runtime import Runtime, Task


class StandardLog:
    """Tells the standard library's log what the core has to tell."""

    def __init__(self, name: str = "guest") -> None:
        self._logger = logging.getLogger(name)

    def info(self, text: str, **values: object) -> None:
        """For who follows along."""
        self._tell(logging.INFO, text, values)

    def warn(self, text: str, **values: object) -> None:
        """Something is not as it should be."""
        self._tell(logging.WARNING, text, values)

    def error(self, text: str, **values: object) -> None:
        """Something failed."""
        self._tell(logging.ERROR, text, values)

    def failure(self, text: str, error: BaseException, **values: object) -> None:
        """C{error} was raised where nobody expected it."""
        found = (type(error), error, error.__traceback__)
        self._logger.critical("%s", text.format(**values), exc_info=found)

    def _tell(self, level: int, text: str, values: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", text.format(**values))


class _LateTask:
    """
    A task that has not begun when it is made.

    It is cancelled behind its first step: otherwise that would never come, and nothing in it
    be closed.
    """

    __slots__ = ("_loop", "task")

    def __init__(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]):
        self._loop = loop
        self.task = loop.create_task(coroutine)

    def cancel(self) -> None:
        self._loop.call_soon(self.task.cancel)


def asyncio_runtime(loop: asyncio.AbstractEventLoop) -> Runtime:
    """All that the core wants of asyncio."""
    futures = asyncio_futures(loop)

    def reject(future: asyncio.Future[Any], error: Exception) -> None:
        if not futures.is_called(future):
            futures.reject(future, error)
            future.exception()  # who does not look at it has been told by a hook

    begin = task_beginner(loop)

    def start(coroutine: Coroutine[Any, Any, Any]) -> Task:
        return begin(coroutine) or _LateTask(loop, coroutine)

    return Runtime(
        future=futures.create_future,
        resolve=resolver(futures),
        soon=loop.call_soon,
        reject=reject,
        later=loop.call_later,
        seconds=loop.time,
        start=start,
        is_called=_is_called,
        when_done=_when_done,
        cancelled=asyncio.CancelledError,
        log=StandardLog(),
    )


def _is_called(handle: Any) -> bool:
    return bool((handle.task if type(handle) is _LateTask else handle).done())


def _when_done(handle: Any, told: Callable[[BaseException | None], None]) -> None:
    task: asyncio.Task[Any] = handle.task if type(handle) is _LateTask else handle
    if task.done():
        _tell(told, task)
    else:
        task.add_done_callback(lambda task: _tell(told, task))


def _tell(told: Callable[[BaseException | None], None], task: asyncio.Future[Any]) -> None:
    told(asyncio.CancelledError() if task.cancelled() else task.exception())
