"""Runs a program that speaks HTTP, and subscribes in its place."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial

from guest.asyncio.address import ProxyAddress
from guest.asyncio.runner import run_in_loop
from guest.asyncio.subscriber import AsyncioSubscriber
from guest.cli.begin_asyncio import begin_asyncio
from guest.cli.collector import begin_collecting
from guest.cli.options import GuestOptions
from guest.cli.sidecar_options import SidecarOptions
from guest.core.errors import GuestError, RegistrationRefused, SubscriptionEnded
from guest.core.profile import SubscriberProfile
from guest.core.route import Route
from guest.core.statuses import REFUSED, USAGE, announce, complain, ended_with
from guest.sidecar.adapter import ProgramAdapter
from guest.sidecar.bridge import ProgramBridge
from guest.sidecar.dialler import ProgramDialler
from guest.sidecar.pool import ConnectionPool
from guest.sidecar.process import ChildReaper, ProgramProcess
from guest.sidecar.readiness import ReadinessProbe
from guest.sidecar.restart import RestartMode
from guest.sidecar.supervisor import ProgramSupervisor
from subproxy.wire.limits import DEFAULT_WEIGHT

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
"""Signals that end us, and then the program."""

PASSED_ON = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
"""Signals that are the program's alone."""


def run(asked: GuestOptions, sidecar: SidecarOptions, worker: int) -> int:
    """
    Serve a program until something ends it.

    @return: the exit status.
    """
    begun = begin_asyncio(asked)
    if begun is None:
        return USAGE
    address, make = begun
    profile = SubscriberProfile(
        asked.name,
        worker=worker,
        concurrency=asked.concurrency,
        weight=asked.weight or DEFAULT_WEIGHT,
        drain_timeout=asked.drain_timeout,
    )
    profile.tunnels = sidecar.upgrades

    async def serve() -> int:
        return await SidecarRunner(asked, sidecar, address, profile).run()

    begin_collecting()
    return run_in_loop(serve, make)


class SidecarRunner:
    """
    Subscribes while the program serves, and ends with it.

    Make it in a coroutine: it belongs to the event loop that runs.
    """

    def __init__(
        self,
        asked: GuestOptions,
        sidecar: SidecarOptions,
        address: ProxyAddress,
        profile: SubscriberProfile,
    ) -> None:
        """Put the parts together."""
        self._loop = loop = asyncio.get_running_loop()
        self._log = logging.getLogger("guest")
        self._routes = asked.routes
        self._keep_going = asked.keep_going
        self._profile = profile
        dialler = ProgramDialler(sidecar.address)
        self._pool = ConnectionPool(loop, dialler)
        authority = sidecar.address.authority
        self._reaper = ChildReaper(loop) if sidecar.command else None
        self._supervisor = ProgramSupervisor(
            loop,
            partial(ProgramProcess, self._reaper, sidecar.command) if self._reaper else None,
            ReadinessProbe(loop, dialler, sidecar.ready, sidecar.host or authority),
            self,
            name=sidecar.name,
            mode=sidecar.restart,
            grace=sidecar.grace,
        )
        bridge = ProgramBridge(
            self._pool,
            authority,
            sidecar.host,
            lambda _: self._supervisor.unreachable(),
            sidecar.upgrade_timeout,
        )
        self._subscriber = AsyncioSubscriber(
            address,
            profile,
            ProgramAdapter(bridge),
            self,
            where=asked.proxy,
            retry_refused=asked.keep_going,
        )
        self._serving = False
        self._subscribed = self._registered = False
        self._following: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._status: int | None = None
        self._in_terminal = _has_terminal()

    async def run(self) -> int:
        """
        Start the program, and stay until it, or something else, ends us.

        @return: the exit status.
        """
        for number in ENDING:
            self._loop.add_signal_handler(number, self._leave, number, None)
        if self._reaper is not None:
            if os.getpid() == 1:
                self._reaper.adopt()
            for number in PASSED_ON:
                self._loop.add_signal_handler(number, self._pass_on, number)
        self._subscriber.over.add_done_callback(self._over)
        self._supervisor.start()
        status = await self._supervisor.ended
        self._leave(signal.SIGTERM, None)
        if self._leaving is not None:
            await self._leaving
        self._pool.clear()
        if self._reaper is not None:
            self._reaper.stop()
        return status if self._status is None else self._status

    # The end.

    def _leave(self, number: int, status: int | None) -> None:
        """
        Drain, then have the program end.

        @param number: the signal that asks it to. When one comes again, nobody waits any more for
            what is under way, and then nor for the program.
        @param status: to exit with; None: that of the program.
        """
        if self._leaving is not None:
            if self._leaving.done():
                self._supervisor.stop(number)
            else:
                self._subscriber.abort()
            return
        self._status = status
        self._supervisor.mode = RestartMode.NEVER
        self._leaving = self._loop.create_task(self._drain(number))

    async def _drain(self, number: int) -> None:
        if self._following is not None:
            self._following.cancel()
        if self._subscribed:
            self._log.info("draining")
            await self._subscriber.stop()
        self._supervisor.stop(number)

    def _pass_on(self, number: int) -> None:
        if number == signal.SIGHUP and self._in_terminal and not _has_terminal():
            self._leave(number, None)  # it is gone, and took its foreground with it
        else:
            self._supervisor.signal(number)

    def _over(self, reason: asyncio.Future[GuestError]) -> None:
        if not reason.cancelled() and self._leaving is None:
            complain(str(reason.result()))
            self._leave(signal.SIGTERM, ended_with(reason.result()))

    # A ProgramObserver (guest.sidecar.supervisor).

    def serving(self) -> None:
        """The program takes requests: so do we."""
        self._serving = True
        self._follow()

    def down(self) -> None:
        """The program takes none: nor do we."""
        self._serving = False
        self._pool.clear()
        self._follow()

    def say(self, text: str) -> None:
        """For who follows along."""
        self._log.info("%s", text)

    def warn(self, text: str) -> None:
        """For who should know."""
        self._log.warning("%s", text)

    def _follow(self) -> None:
        if self._leaving is None and (self._following is None or self._following.done()):
            self._following = self._loop.create_task(self._register())

    async def _register(self) -> None:
        """Register the routes, or give them back, until that is as it should be."""
        while self._registered is not self._serving:
            wanted = self._serving
            if not wanted:
                await self._each(self._subscriber.unregister)
            elif self._subscribed:
                await self._each(self._subscriber.register)
            else:
                self._subscribed = True
                self._profile.routes.extend(self._routes)
                self._subscriber.start()
            self._registered = wanted

    async def _each(self, change: Callable[[Route], object]) -> None:
        for route in self._routes:
            try:
                await change(route)  # type: ignore[misc]
            except (RegistrationRefused, SubscriptionEnded):
                continue  # refused() has heard of it; the next connection begins anew

    # SubscriberEvents (guest.asyncio.connection).

    def registered(self, route: Route) -> None:
        """Say so, for people and for scripts that wait for it."""
        announce(f"registered {route}")

    def refused(self, refusal: RegistrationRefused) -> None:
        """Say why; leave, unless told to stay."""
        complain(f"refused {refusal}")
        if not self._keep_going and self._leaving is None:
            self._leave(signal.SIGTERM, REFUSED)


def _has_terminal() -> bool:
    """Whether there is a terminal at the other end of standard input; no more when it has gone."""
    return sys.stdin is not None and sys.stdin.isatty()
