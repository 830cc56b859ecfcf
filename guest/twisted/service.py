"""Stays subscribed, as a Twisted service, and leaves in good order."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from guest.core.errors import GuestError
from guest.core.keepers import SubscriptionKeepers
from guest.core.process_share import ProcessShare
from guest.core.restore import drift
from guest.core.welcome import Welcome
from guest.twisted.data_connection import DataPool
from guest.twisted.factory import SubscriberFactory
from guest.twisted.one_shot import OneShotObserver
from guest.twisted.runtime import twisted_runtime
from guest.twisted.subscriber import SubscriberProtocol


class SubscriberService(Service):
    """
    Keeps one application subscribed to one proxy.

    C{twisted.application.internet.ClientService} does not serve here: when a proxy drains, the
    new connection is made while the old one still finishes its requests, and a proxy that takes
    connections only to close them must not reset the back-off.
    """

    _log = Logger()

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        factory: SubscriberFactory,
        *,
        clock: Any = None,
        chance: Callable[[], float] = random.random,
        retryRefused: bool = True,
        dataConnections: bool = True,
        drift: Callable[[], float] = drift,
        where: str = "",
    ) -> None:
        """
        Take what is to be kept up.

        @param clock: an L{IReactorTime}; the factory's if None.
        @param chance: gives random numbers from 0 to 1.
        @param retryRefused: whether to dial again when the proxy refuses C{hello}, if it might
            take it another time: never after C{replaced}, C{version} or C{hello}.
        @param dataConnections: whether large bodies may have connections of their own.
        @param drift: seconds from the monotonic to the wall clock (L{guest.core.restore}).
        @param where: how C{endpoint} is described to a person, such as C{vsock:2:12345}.
        """
        self._endpoint = endpoint
        self._factory = factory
        clock = clock or factory.clock
        if dataConnections:
            factory.data = DataPool(endpoint, clock)
        self._subscriptions: list[SubscriberProtocol] = []
        self._staying: Deferred[None] = succeed(None)
        self._over: OneShotObserver[GuestError] = OneShotObserver()
        self._keepers = SubscriptionKeepers(
            twisted_runtime(clock),
            factory,
            self._dial,
            self._leave,
            self._over.fire,
            where=where or repr(endpoint),
            chance=chance,
            retry_refused=retryRefused,
            drift=drift,
        )

    def whenOver(self) -> Deferred[GuestError]:
        """
        Fires when there is no use in dialling again, with the reason.

        That is L{SubscriptionReplaced}, or L{SubscriptionRefused} if that is final, or if those
        are not retried.
        """
        return self._over.wait()

    def startService(self) -> None:
        """Begin to dial."""
        super().startService()  # type: ignore[no-untyped-call]
        self._staying = Deferred.fromCoroutine(self._keepers.run())
        self._staying.addErrback(self._stopped)

    def stopService(self) -> Deferred[None]:
        """
        Drain.

        @return: fires when all that was under way is finished and the connections are gone.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        self._keepers.stop()
        self._staying.cancel()
        draining = [each.drain() for each in self._subscriptions]
        return DeferredList(draining).addCallback(self._drained)

    def _drained(self, ignored: object) -> None:
        if self._factory.data is not None:
            self._factory.data.close()

    def abort(self) -> None:
        """Drop all connections at once."""
        for each in self._subscriptions:
            each.transport.abortConnection()  # type: ignore[union-attr]

    def restored(self) -> None:
        """
        Be another instance, on a new connection: this machine was restored from a snapshot.

        Call it where you learn of that in time. By itself the service sees it when a connection
        is gone and the wall clock has jumped (L{guest.core.restore}); L{whenOver} does not fire.
        """
        self._factory.renew()
        self.abort()

    def _stopped(self, failure: Failure) -> None:
        if not isinstance(failure.value, CancelledError):
            self._log.failure("no more dialling, because of a bug", failure)

    async def _dial(self, share: ProcessShare) -> _Dialled:
        protocol: Any = await self._endpoint.connect(self._factory.sharing(share))
        self._subscriptions.append(protocol)
        protocol.whenSubscribed().addCallback(self._subscribed, protocol)
        protocol.whenLost().addCallback(lambda _: self._subscriptions.remove(protocol))
        return _Dialled(protocol)

    def _leave(self, share: ProcessShare) -> None:
        for each in list(self._subscriptions):
            if each._share is share:
                each.drain()

    def _subscribed(self, welcome: Welcome | None, protocol: SubscriberProtocol) -> None:
        if welcome is not None:
            self._keepers.subscribed(protocol._share, welcome, protocol._subscription.when_idle)


class _Dialled:
    """A protocol, as the core wants it."""

    def __init__(self, protocol: SubscriberProtocol) -> None:
        self._protocol = protocol

    def when_leaving(self) -> Awaitable[Exception | None]:
        return self._protocol.whenLeaving()
