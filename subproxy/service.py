"""The proxy as one service: what it starts, and in which order it stops."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from twisted.application.internet import TimerService
from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from subproxy.core.dispatcher import Dispatcher
from subproxy.frontend.access_log import AccessLog
from subproxy.frontend.factory import Http1Factory
from subproxy.listener import ListenerService
from subproxy.subscription.factory import SubscriptionFactory
from subproxy.subscription.registrar import Registrar

HOUSEKEEPING_INTERVAL = 0.25
"""Seconds between looks at what has expired: vacant routes, waiting exchanges."""

CLOSING_LIMIT = 3.0
"""Seconds that subscriptions have to end, at a stop, after everything is answered."""


class ProxyService(MultiService):
    """
    Listeners for clients and guests, and what connects them.

    At a stop nothing new is accepted, what is in flight is finished (for at most
    C{shutdown_timeout} seconds), then guests are told C{bye}.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        registrar: Registrar,
        dispatcher: Dispatcher,
        http: Http1Factory,
        subscriptions: SubscriptionFactory,
        http_listeners: Sequence[ListenerService],
        vsock_listeners: Sequence[IService],
        shutdown_timeout: float,
        log: AccessLog | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.clock = clock
        self.registrar = registrar
        self.dispatcher = dispatcher
        self.http = http
        self.subscriptions = subscriptions
        self.http_listeners = http_listeners
        self.log = log
        self.shutdown_timeout = shutdown_timeout
        self._lags: deque[float] = deque([0.0], maxlen=120)
        self._expected = registrar.now()
        housekeeping = TimerService(HOUSEKEEPING_INTERVAL, self._housekeep)
        housekeeping.clock = clock
        for child in (housekeeping, *http_listeners, *vsock_listeners):
            child.setServiceParent(self)

    def lag(self) -> float:
        """The longest delay of housekeeping within the last half minute or so, in seconds."""
        return max(self._lags)

    def _housekeep(self) -> None:
        try:
            now = self.registrar.now()
            self._lags.append(max(0.0, now - self._expected))
            self._expected = now + HOUSEKEEPING_INTERVAL
            self.registrar.expire(now)
            self.dispatcher.expire(now)
        except Exception:
            self._log.failure("housekeeping failed")

    def stopService(self) -> Deferred[Any]:
        """Drain, then stop everything."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._log.info("stopping: {count} requests in flight", count=self.http.active)
        await DeferredList(
            [Deferred.fromCoroutine(each.stopListening()) for each in self.http_listeners]
        )
        await self._within(self.shutdown_timeout, self.http.drain())
        await self._within(CLOSING_LIMIT, self.subscriptions.close(b"shutdown", "the proxy stops"))
        await super().stopService()  # type: ignore[no-untyped-call]
        self.http.close()
        if self.log is not None:
            self.log.close()

    async def _within(self, seconds: float, done: Deferred[None]) -> None:
        limit: Deferred[None] = deferLater(self.clock, seconds)
        await DeferredList([done, limit], fireOnOneCallback=True, fireOnOneErrback=True)
        limit.addErrback(lambda _: None)
        limit.cancel()
