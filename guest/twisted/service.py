"""Stays subscribed: dials, dials again, moves on when a proxy drains, leaves in good order."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from guest.core.backoff import LONGEST, backoff
from guest.core.errors import (
    GuestError,
    SubscriptionCopied,
    SubscriptionRefused,
    SubscriptionReplaced,
)
from guest.core.outage import Outage, advice, system_says
from guest.core.restore import RestoreDetector, drift
from guest.twisted.data_connection import DataPool
from guest.twisted.factory import SubscriberFactory
from guest.twisted.one_shot import OneShotObserver
from guest.twisted.subscriber import SubscriberProtocol

IDLE = 1.0
"""Seconds that an application has to register a route, before it is said that it has none."""

SETTLED = 0.5
"""Seconds after which a connection whose proxy drains is followed by another one at once."""


FINAL = frozenset({"version", "hello"})
"""Codes of a refused C{hello} that would be refused again (docs/protocol.md, "Dialling again")."""


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
        self._where = where or repr(endpoint)
        self._outage = Outage()
        self._idle = False  # it was said that nothing is served
        self._factory = factory
        self._clock: Any = clock or factory.clock
        self._chance = chance
        self._retryRefused = retryRefused
        self._restore = RestoreDetector(drift)
        if dataConnections:
            factory.data = DataPool(endpoint, self._clock)
        self._subscriptions: list[SubscriberProtocol] = []
        self._staying: Deferred[None] = succeed(None)
        self._dialled = False
        self._over: OneShotObserver[GuestError] = OneShotObserver()

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
        self._staying = Deferred.fromCoroutine(self._stay())
        self._staying.addErrback(self._stopped)

    def stopService(self) -> Deferred[None]:
        """
        Drain.

        @return: fires when all that was under way is finished and the connections are gone.
        """
        super().stopService()  # type: ignore[no-untyped-call]
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

    async def _stay(self) -> None:
        attempt = 0
        while self.running:
            began = self._clock.seconds()
            reason = await self._subscription()
            if not self.running:
                return
            if self._restore.restored() or isinstance(reason, SubscriptionCopied):
                self._log.info("this machine seems to be restored, or a copy: a new instance")
                self._factory.renew()
            elif self._is_final(reason):
                assert isinstance(reason, GuestError)
                self._log.error("not dialling again: {reason}", reason=reason)
                self._over.fire(reason)
                return
            lasted = self._clock.seconds() - began
            if lasted > LONGEST:
                attempt = 0
            if reason is None and lasted > SETTLED:
                self._log.info("the proxy drains: dialling a new connection")
                continue
            delay = backoff(attempt, self._chance())
            attempt += 1
            self._complain(reason)
            await deferLater(self._clock, delay)

    def _is_final(self, reason: Exception | None) -> bool:
        """Whether there is no use in dialling again (docs/protocol.md, "Dialling again")."""
        if isinstance(reason, SubscriptionRefused):
            return not self._retryRefused or reason.code in FINAL
        return isinstance(reason, SubscriptionReplaced)

    def _complain(self, reason: Exception | None) -> None:
        """Tell why there is no subscription, if that was not told just now."""
        now = self._clock.seconds()
        if reason is None:
            text = f"the proxy at {self._where} drains"
        elif self._dialled:
            text = f"no subscription at {self._where}: {system_says(reason)}"
        else:
            text = f"cannot reach the proxy at {self._where}: {system_says(reason)}"
            hint = advice(self._where, reason)
            text += f"; {hint}" if hint else ""
        told = self._outage.failed(now, text)
        if told is not None:
            self._log.warn("{told}", told=told)

    def _subscribed(self, welcome: object, protocol: SubscriberProtocol) -> None:
        if welcome is None:
            return
        told = self._outage.over(self._clock.seconds())
        if told is not None:
            self._log.info("{told}", told=told)
        if not self._idle:
            protocol.when_idle(IDLE).addCallback(self._serves_nothing)

    def _serves_nothing(self, idle: bool) -> None:
        if idle and not self._idle:
            self._idle = True
            self._log.warn(
                "subscribed at {where}, but serving nothing: there is no --host, and the "
                "application registers no route of its own",
                where=self._where,
            )

    async def _subscription(self) -> Exception | None:
        """
        Dial, and stay until nothing new will come over that connection.

        @return: why; None if the proxy drains.
        """
        self._dialled = False
        try:
            protocol: Any = await self._endpoint.connect(self._factory)
        except CancelledError:
            raise
        except Exception as error:
            return error
        self._dialled = True
        protocol.whenSubscribed().addCallback(self._subscribed, protocol)
        self._subscriptions.append(protocol)
        protocol.whenLost().addCallback(lambda _: self._subscriptions.remove(protocol))
        leaving: Exception | None = await protocol.whenLeaving()
        return leaving
