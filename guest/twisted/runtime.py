"""Twisted's way to wait, to keep time and to run coroutines, for the core of a guest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from guest.core.framework import resolver
from guest.core.runtime import Runtime
from guest.twisted.framework import FUTURES, soon_of

_NAMESPACE = "guest"


class TwistedLog:
    """Tells Twisted's log what the core has to tell."""

    def __init__(self) -> None:
        self._logger = Logger(_NAMESPACE)

    def info(self, text: str, **values: object) -> None:
        """For who follows along."""
        self._logger.emit(LogLevel.info, text, **values)

    def warn(self, text: str, **values: object) -> None:
        """Something is not as it should be."""
        self._logger.emit(LogLevel.warn, text, **values)

    def error(self, text: str, **values: object) -> None:
        """Something failed."""
        self._logger.emit(LogLevel.error, text, **values)

    def failure(self, text: str, error: BaseException, **values: object) -> None:
        """C{error} was raised where nobody expected it."""
        failure = Failure(error, type(error), error.__traceback__)
        self._logger.failure(text, failure, LogLevel.critical, **values)


class _Call:
    """A delayed call that may be cancelled at any time."""

    __slots__ = ("_call",)

    def __init__(self, call: Any) -> None:
        self._call = call

    def cancel(self) -> None:
        if self._call.active():
            self._call.cancel()


def twisted_runtime(clock: Any) -> Runtime:
    """
    All that the core wants of Twisted.

    @param clock: an L{IReactorTime}.
    """
    return Runtime(
        future=FUTURES.create_future,
        resolve=resolver(FUTURES),
        soon=soon_of(clock),
        reject=FUTURES.reject,
        later=lambda delay, function, *args: _Call(clock.callLater(delay, function, *args)),
        seconds=clock.seconds,
        start=Deferred.fromCoroutine,
        is_called=FUTURES.is_called,
        when_done=_when_done,
        cancelled=CancelledError,
        log=TwistedLog(),
    )


def _when_done(
    deferred: Deferred[Any], told: Callable[[BaseException | None], None]
) -> Deferred[None]:
    return deferred.addCallbacks(lambda _: told(None), lambda failure: told(failure.value))
