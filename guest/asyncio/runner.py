"""Runs an application on asyncio until a signal, a refusal or a replacement ends it."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from guest.asyncio.connection import SubscriberEvents
from guest.asyncio.subscriber import AsyncioSubscriber
from guest.core.errors import GuestError, RegistrationRefused
from guest.core.route import Route
from guest.core.statuses import REFUSED, announce, complain, ended_with

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING,
          "error": logging.ERROR, "critical": logging.CRITICAL}  # fmt: skip


class AsyncioRunner:
    """
    Keeps a subscriber running; hears of its registrations.

    Make it in a coroutine: signals are its business from then on, and end L{run} also if they
    come before it.

    @ivar status: what the process will exit with.
    """

    def __init__(self, keep_going: bool = False) -> None:
        """
        Take SIGTERM and SIGINT.

        @param keep_going: stay when a route is refused.
        """
        self._loop = asyncio.get_running_loop()
        self._keep_going = keep_going
        self._log = logging.getLogger("guest")
        self._subscriber: AsyncioSubscriber | None = None
        self._draining: asyncio.Task[None] | None = None
        self._stopping = False
        self._ended = asyncio.Event()
        self.status = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.stop, 0)

    async def unless_stopped(self, first: Coroutine[Any, Any, None]) -> bool:
        """
        Do what comes before L{run}; it is cancelled if a signal comes meanwhile.

        @return: whether it was done.
        """
        doing = self._loop.create_task(first)
        ended = self._loop.create_task(self._ended.wait())
        await asyncio.wait((doing, ended), return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if doing.done():
            doing.result()
            return True
        doing.cancel()
        return False

    async def run(self, subscriber: AsyncioSubscriber) -> int:
        """
        Subscribe, and stay until something ends it.

        @return: the exit status.
        """
        if not self._stopping:
            self._subscriber = subscriber
            subscriber.over.add_done_callback(self._over)
            subscriber.start()
            await self._ended.wait()
            if self._draining is not None and not self._draining.done():
                self._draining.cancel()
        return self.status

    def stop(self, status: int) -> None:
        """Drain, then stop; at once if asked again."""
        if self._stopping:
            if self._subscriber is not None:
                self._subscriber.abort()
            self._ended.set()
            return
        self._stopping = True
        self.status = status
        if self._subscriber is None:
            self._ended.set()
            return
        self._log.info("draining")
        self._draining = self._loop.create_task(self._drain(self._subscriber))

    @property
    def stopping(self) -> bool:
        """Whether it has been told to stop."""
        return self._stopping

    async def _drain(self, subscriber: AsyncioSubscriber) -> None:
        try:
            await subscriber.stop()
        finally:
            self._ended.set()

    def _over(self, reason: asyncio.Future[GuestError]) -> None:
        if not self._stopping and not reason.cancelled():
            complain(str(reason.result()))
            self.stop(ended_with(reason.result()))

    # SubscriberEvents (guest.asyncio.connection).

    def registered(self, route: Route) -> None:
        """Say so, for people and for scripts that wait for it."""
        announce(f"registered {route}")

    def refused(self, refusal: RegistrationRefused) -> None:
        """Say why; leave, unless told to stay."""
        complain(f"refused {refusal}")
        if not self._keep_going and not self._stopping:
            self.stop(REFUSED)


_: type[SubscriberEvents] = AsyncioRunner


def run_in_loop(
    main: Callable[[], Coroutine[Any, Any, int]], make: Callable[[], asyncio.AbstractEventLoop]
) -> int:
    """
    Run a coroutine in an event loop of its own, and end what it has left.

    @param make: makes the loop.
    """
    loop = make()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main())
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


def begin_logging(level: str) -> None:
    """Log to stderr from C{level} on, in the form that Twisted's log has."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter())
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(handler)
    logging.getLogger("guest").setLevel(LEVELS[level])


class _LineFormatter(logging.Formatter):
    """C{2026-11-29T16:00:00+0000 [guest#info] text}."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s [%(name)s#%(level)s] %(message)s", "%Y-%m-%dT%H:%M:%S%z")

    def format(self, record: logging.LogRecord) -> str:
        record.level = record.levelname.lower().replace("warning", "warn")
        return super().format(record)
