"""
The lifespan of an ASGI application: its start and its end
(https://asgi.readthedocs.io/en/latest/specs/lifespan.html).
"""

from __future__ import annotations

from collections.abc import MutableMapping
from enum import Enum, auto
from typing import Any

from guest.core.runtime import Runtime


class LifespanFailed(Exception):
    """The application has said that it cannot start; its text is for a person."""


class LifespanState(Enum):
    """How far an application is."""

    STARTING = auto()
    RUNNING = auto()
    STOPPING = auto()
    OVER = auto()
    """It has returned, or raised."""


class Lifespan:
    """
    Tells one application that it starts, and that it ends.

    @ivar state: what it has put into C{scope["state"]}, for each request; None if it has no
        lifespan: it raised, or returned, before it had started.
    """

    def __init__(self, application: Any, runtime: Runtime) -> None:
        self._application = application
        self._runtime = runtime
        self._progress = LifespanState.STARTING
        self._inbox: list[str] = ["lifespan.startup"]
        self._waiting: Any = None
        self._told: Any = runtime.future()
        self._failure: str | None = None
        self._error: BaseException | None = None
        self.state: dict[str, Any] | None = {}

    async def start(self) -> None:
        """
        Have it start, and wait until it has.

        @raise LifespanFailed: it says that it can't.
        """
        told = self._told
        # Where tasks begin at once it may have started, and told so, before this one waits.
        self._runtime.when_done(self._runtime.start(self._run()), lambda _: None)
        await told
        if self._failure is not None:
            raise LifespanFailed(self._failure)
        if self._progress is LifespanState.OVER:
            self.state = None
            if self._error is not None:
                self._runtime.log.info(
                    "the application has no lifespan: {kind}", kind=type(self._error).__name__
                )

    async def stop(self, timeout: float) -> None:
        """
        Have it end, and wait until it has.

        @param timeout: seconds after which it is left alone.
        """
        if self._progress is not LifespanState.RUNNING:
            return
        self._progress = LifespanState.STOPPING
        self._told = told = self._runtime.future()
        self._inbox.append("lifespan.shutdown")
        self._wake()
        timer = self._runtime.later(timeout, self._runtime.resolve, told, None)
        await told
        timer.cancel()
        if self._failure is not None:
            self._runtime.log.error("the application failed to end: {why}", why=self._failure)

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self._application(scope, self._receive, self._send)
        except self._runtime.cancelled:
            raise
        except Exception as error:
            self._error = error
            if self._progress is not LifespanState.STARTING:
                self._runtime.log.failure("The lifespan of the application failed", error)
        finally:
            self._progress = LifespanState.OVER
            self._tell()

    def _tell(self) -> None:
        told, self._told = self._told, None
        if told is not None:
            self._runtime.resolve(told, None)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._runtime.resolve(waiting, None)

    async def _receive(self) -> dict[str, Any]:
        while not self._inbox:
            self._waiting = self._runtime.future()
            await self._waiting
        return {"type": self._inbox.pop(0)}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete" and self._progress is LifespanState.STARTING:
            self._progress = LifespanState.RUNNING
        elif kind.endswith(".failed"):
            self._failure = str(message.get("message", "")) or "it does not say why"
        elif kind != "lifespan.shutdown.complete":
            raise RuntimeError(f"ASGI: {kind!r} came when it was {self._progress.name.lower()}")
        self._tell()
