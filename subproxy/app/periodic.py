"""A call again and again while the service runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger


class PeriodicService(Service):
    """
    Twisted's TimerService, of which the module imports much that nobody here needs.

    @param seconds: between the beginnings of two calls; the first is at the start.
    @param function: what is called; when it raises, it is called no more.
    """

    _log = Logger()

    def __init__(self, seconds: float, function: Callable[[], None], clock: IReactorTime) -> None:
        self._seconds = seconds
        self._loop = LoopingCall(function)
        self._loop.clock = clock

    def startService(self) -> None:
        """Begin."""
        super().startService()  # type: ignore[no-untyped-call]
        self._loop.start(self._seconds).addErrback(self._failed)

    def stopService(self) -> Any:
        """End."""
        if self._loop.running:
            self._loop.stop()
        return super().stopService()  # type: ignore[no-untyped-call]

    def _failed(self, failure: Any) -> None:
        self._log.failure("a periodic call failed", failure)
