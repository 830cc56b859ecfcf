"""Keeps an application subscribed, on asyncio, and leaves in good order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from guest.asyncio.address import ProxyAddress
from guest.asyncio.connection import Answer, AsyncioConnection, SubscriberEvents
from guest.asyncio.data_connection import AsyncioDataPool
from guest.asyncio.runtime import asyncio_runtime
from guest.core.errors import GuestError, RegistrationRefused, SubscriptionEnded
from guest.core.exchanges import ExchangeAdapter
from guest.core.keepers import SubscriptionKeepers
from guest.core.process_share import ProcessShare
from guest.core.profile import SubscriberProfile
from guest.core.restore import drift
from guest.core.route import Route


class AsyncioSubscriber:
    """
    Keeps one application subscribed to one proxy.

    Make it in a coroutine: it belongs to the event loop that runs.

    @ivar over: a future: why there is no use in dialling again, as soon as there is none:
        L{SubscriptionReplaced<guest.core.errors.SubscriptionReplaced>}, or
        L{SubscriptionRefused<guest.core.errors.SubscriptionRefused>}.
    @ivar answer: the application; another one serves from the next connection on.
    """

    def __init__(
        self,
        address: ProxyAddress,
        profile: SubscriberProfile,
        answer: Answer | ExchangeAdapter,
        events: SubscriberEvents,
        *,
        where: str = "",
        retry_refused: bool = True,
        data_connections: bool = True,
        chance: Callable[[], float] = random.random,
        drift: Callable[[], float] = drift,
    ) -> None:
        """
        Take what is to be kept up.

        @param address: where the proxy is.
        @param events: hears of each registration.
        @param where: how C{address} is described to a person.
        @param retry_refused: whether to dial again when the proxy refuses C{hello}, if it might
            take it another time.
        @param data_connections: whether large bodies may have connections of their own.
        @param chance: gives random numbers from 0 to 1.
        @param drift: seconds from the monotonic to the wall clock (L{guest.core.restore}).
        """
        self._loop = loop = asyncio.get_running_loop()
        self._address = address
        self._profile = profile
        self.answer = answer
        self._events = events
        self._runtime = asyncio_runtime(loop)
        if data_connections:
            profile.data = AsyncioDataPool(address, loop)
        self._connections: list[AsyncioConnection] = []
        self._stopping = False
        self._staying: asyncio.Task[None] | None = None
        self.over: asyncio.Future[GuestError] = loop.create_future()
        self._keepers = SubscriptionKeepers(
            self._runtime,
            profile,
            self._dial,
            self._leave,
            partial(self._runtime.resolve, self.over),
            where=where or repr(address),
            chance=chance,
            retry_refused=retry_refused,
            drift=drift,
        )

    def start(self) -> None:
        """Begin to dial."""
        self._staying = self._loop.create_task(self._keepers.run())
        self._staying.add_done_callback(self._stopped)

    async def stop(self) -> None:
        """Drain; returns when all that was under way is finished and the connections are gone."""
        self._stopping = True
        self._keepers.stop()
        if self._staying is not None:
            self._staying.cancel()
        for each in self._connections:
            each.subscription.drain()
        if self._connections:
            await asyncio.wait([each.lost for each in self._connections])
        if self._profile.data is not None:
            self._profile.data.close()

    def abort(self) -> None:
        """Drop all connections at once."""
        for each in self._connections:
            each.abort()

    def restored(self) -> None:
        """Be another instance, on a new connection: this machine was restored from a snapshot."""
        self._profile.renew()
        self.abort()

    async def register(self, route: Route) -> None:
        """
        Serve a route on the connections that there are, and on those that come.

        Returns when the connections that there are have it; at once if there is none.

        @raise RegistrationRefused: the proxy does not give it to us.
        """
        if route not in self._profile.routes:
            self._profile.routes.append(route)
        for each in list(self._connections):
            try:
                await each.subscription.register(route)
            except RegistrationRefused:
                raise
            except SubscriptionEnded:
                continue  # the next connection registers it by itself

    async def unregister(self, route: Route) -> None:
        """Serve a route no more; returns when no requests for it can come."""
        if route in self._profile.routes:
            self._profile.routes.remove(route)
        for each in list(self._connections):
            try:
                await each.subscription.withdraw(route)
            except SubscriptionEnded:
                continue

    async def _dial(self, share: ProcessShare) -> AsyncioConnection:
        connection = await self._address.connect(
            lambda: AsyncioConnection(
                self._runtime, self._profile, self.answer, self._events, self._subscribed, share
            )
        )
        if self._stopping:
            connection.abort()  # it was made in the very turn in which it was cancelled
            raise asyncio.CancelledError
        self._connections.append(connection)
        connection.lost.add_done_callback(lambda _: self._connections.remove(connection))
        return connection

    def _leave(self, share: ProcessShare) -> None:
        for each in list(self._connections):
            if each.share is share:
                each.subscription.drain()

    def _subscribed(self, connection: AsyncioConnection) -> None:
        assert connection.welcome is not None
        self._keepers.subscribed(
            connection.share, connection.welcome, connection.subscription.when_idle
        )

    def _stopped(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._runtime.log.failure("no more dialling, because of a bug", task.exception())  # type: ignore[arg-type]
