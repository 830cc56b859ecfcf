"""
The event loop that serves: uvloop where it is installed, and tasks that begin at once.

A request is mostly answered before its application first waits. A task that begins in the next
turn would cost a request the state that only one which waits needs. From Python 3.12 on a task
may begin at once. Before that a task asks its loop to call its first step soon: an L{_EagerStep}
loop hands that step over, and it is made at once, in the context of the task.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextvars import Context
from importlib import import_module
from importlib.util import find_spec
from typing import Any

LOOPS = ("auto", "asyncio", "uvloop")

EAGER = sys.version_info >= (3, 12)
"""Tasks can begin at once by themselves."""


class _EagerStep:
    """A mixin of event loops whose tasks can begin at once, before Python 3.12."""

    _step: tuple[Callable[..., object], Context | None] | None = None
    _catching = False

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        """See C{AbstractEventLoop}; the first step of a task is kept."""
        if self._catching:
            self._catching = False
            self._step = (callback, context)
            return None
        return super().call_soon(callback, *args, context=context)  # type: ignore[misc]

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of C{coroutine} that has run until it first waits. Not within another task."""
        self._catching = True
        try:
            task = asyncio.Task(coroutine, loop=self)  # type: ignore[arg-type]
        finally:
            self._catching = False
        caught, self._step = self._step, None
        assert caught is not None
        step, context = caught
        if context is None:
            step()
        else:
            context.run(step)
        return task


def task_beginner(
    loop: asyncio.AbstractEventLoop,
) -> Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any] | None]:
    """
    What makes a task of a coroutine that has run until it first waits.

    It returns None if the loop, or that moment, does not allow it; then nothing has been done.
    """
    if EAGER:
        return lambda coroutine: asyncio.Task(coroutine, loop=loop, eager_start=True)  # type: ignore[call-arg, unused-ignore]
    if not isinstance(loop, _EagerStep):
        return lambda coroutine: None
    begin = loop.begin
    current = asyncio.current_task

    def task(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        return begin(coroutine) if current(loop) is None else None

    return task


def loop_maker(kind: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """
    What makes an event loop of that kind: one of L{LOOPS}.

    @raise ValueError: it is not installed.
    """
    if kind == "asyncio" or (kind == "auto" and find_spec("uvloop") is None):
        base: type[Any] = asyncio.SelectorEventLoop
    else:
        try:
            base = import_module("uvloop").Loop
        except ImportError as error:
            raise ValueError(f"uvloop cannot be had: {error}") from error
    if EAGER:
        return base
    return type(f"Eager{base.__name__}", (_EagerStep, base), {})
