"""
What a shell gives the core of this package: a way to wait, the time, tasks, and a log.

Names and meanings are txaio's, whose C{create_future}, C{resolve}, C{reject} and C{is_called} the
shells hand over. A plain request needs none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from guest.core.framework import Framework
from subproxy.wire.values import value_class


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Do without it; nothing if it has been made."""


class Task(Protocol):
    """A coroutine that runs."""

    def cancel(self) -> object:
        """Raise the framework's C{CancelledError} where it waits."""


class GuestLog(Protocol):
    """
    Where the core tells what happens. C{text} is a format string for C{values}.
    """

    def info(self, text: str, **values: object) -> None:
        """For who follows along."""

    def warn(self, text: str, **values: object) -> None:
        """Something is not as it should be."""

    def error(self, text: str, **values: object) -> None:
        """Something failed."""

    def failure(self, text: str, error: BaseException, **values: object) -> None:
        """C{error} was raised where nobody expected it; its traceback is told."""


@value_class
class Runtime(Framework):
    """
    All that a shell gives the core: a way to wait, the time, tasks, and a log.

    @ivar reject: makes a future raise an error; does nothing to one that was cancelled.
    @ivar later: calls a function with arguments after so many seconds.
    @ivar seconds: a clock that never goes back.
    @ivar start: runs a coroutine: at once, until it first waits, where the framework can.
    @ivar is_called: whether a task is over.
    @ivar when_done: calls a function with the error of a task, or None, when that is over.
    @ivar cancelled: what a cancelled task raises.
    @ivar log: where to tell.
    """

    reject: Callable[[Any, Exception], object]
    later: Callable[..., Timer]
    seconds: Callable[[], float]
    start: Callable[[Coroutine[Any, Any, Any]], Task]
    is_called: Callable[[Any], bool]
    when_done: Callable[[Any, Callable[[BaseException | None], None]], object]
    cancelled: type[BaseException]
    log: GuestLog

    async def sleep(self, delay: float) -> None:
        """Wait for C{delay} seconds."""
        waiting = self.future()
        timer = self.later(delay, self.resolve, waiting, None)
        try:
            await waiting
        finally:
            timer.cancel()


class TimerGroup:
    """The timers of one connection, which end with it."""

    __slots__ = ("_runtime", "_timers")

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._timers: set[_Member] = set()

    def after(self, delay: float, function: Callable[..., object], *args: object) -> Timer:
        """Call C{function} after so many seconds, unless L{cancel_all} comes before."""
        member = _Member(self._timers, function, args)
        member.timer = self._runtime.later(delay, member.fire)
        return member

    def cancel_all(self) -> None:
        """Make none of the calls that are still to come."""
        for member in list(self._timers):
            member.cancel()


class _Member:
    """One call of a group."""

    __slots__ = ("_args", "_function", "_timers", "timer")
    timer: Timer

    def __init__(
        self, timers: set[_Member], function: Callable[..., object], args: tuple[object, ...]
    ) -> None:
        self._timers = timers
        self._function = function
        self._args = args
        timers.add(self)

    def fire(self) -> None:
        self._timers.discard(self)
        self._function(*self._args)

    def cancel(self) -> None:
        self._timers.discard(self)
        self.timer.cancel()
