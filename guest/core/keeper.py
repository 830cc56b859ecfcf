"""
Stays subscribed: dials, dials again, moves on when a proxy drains (docs/protocol.md, "Dialling
again"). Imports no framework.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from guest.core.backoff import LONGEST, backoff
from guest.core.errors import (
    GuestError,
    SubscriptionCopied,
    SubscriptionRefused,
    SubscriptionReplaced,
    SubscriptionRestored,
)
from guest.core.outage import Outage, advice, system_says
from guest.core.process_share import SubscriptionDivided
from guest.core.profile import SubscriberProfile
from guest.core.restore import RestoreDetector, drift
from guest.core.runtime import Runtime

IDLE = 1.0
"""Seconds that an application has to register a route, before it is said that it has none."""

SETTLED = 0.5
"""Seconds after which a connection whose proxy drains is followed by another one at once."""


FINAL = frozenset({"version", "hello"})
"""Codes of a refused C{hello} that would be refused again (docs/protocol.md, "Dialling again")."""


class DialledSubscription(Protocol):
    """A connection that has been made, as the shell's L{SubscriptionKeeper} wants it."""

    def when_leaving(self) -> Awaitable[Exception | None]:
        """Wait until no new requests will come: None if the proxy drains; otherwise, why."""


class SubscriptionKeeper:
    """
    Keeps one application subscribed to one proxy.

    When a proxy drains, the new connection is made while the old one still finishes its requests;
    and a proxy that takes connections only to close them does not reset the back-off.
    """

    def __init__(
        self,
        runtime: Runtime,
        profile: SubscriberProfile,
        dial: Callable[[], Awaitable[DialledSubscription]],
        over: Callable[[GuestError], object],
        *,
        where: str,
        chance: Callable[[], float] = random.random,
        retry_refused: bool = True,
        drift: Callable[[], float] = drift,
        copied: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        Take what is to be kept up; L{run} does it.

        @param dial: makes a connection, which has said C{hello}.
        @param over: is told when there is no use in dialling again, with the reason:
            L{SubscriptionReplaced}, or L{SubscriptionRefused} if that is final, or if those
            are not retried.
        @param where: how the proxy's address is described to a person, such as
            C{vsock:2:12345}.
        @param chance: gives random numbers from 0 to 1.
        @param retry_refused: whether to dial again when the proxy refuses C{hello}, if it might
            take it another time: never after C{replaced}, C{version} or C{hello}.
        @param drift: seconds from the monotonic to the wall clock (L{guest.core.restore}).
        @param copied: whether another machine has come with our instance, where the proxy says so:
            it may have been another connection of ours.
        """
        self._runtime = runtime
        self._profile = profile
        self._dial = dial
        self._over = over
        self._where = where
        self._chance = chance
        self._retry_refused = retry_refused
        self._restore = RestoreDetector(drift)
        self._copied = copied
        self._outage = Outage()
        self._idle = False  # it was said that nothing is served
        self._dialled = False
        self._stopped = False

    def stop(self) -> None:
        """Dial no more: what is being dialled may fail in any way when it is cancelled."""
        self._stopped = True

    async def run(self) -> None:
        """Stay subscribed, until it is over, or is cancelled after L{stop}."""
        self._stopped = False
        attempt = 0
        while True:
            began = self._runtime.seconds()
            instance = self._profile.instance
            reason = await self._subscription()
            if self._stopped:
                return
            if isinstance(reason, SubscriptionDivided):
                continue
            if isinstance(reason, SubscriptionRestored):
                self._runtime.log.info("this machine goes on from a snapshot: a new instance")
                self._restore.restored()  # the wall clock has been set: that is known
                continue
            if self._restore.restored() or (
                isinstance(reason, SubscriptionCopied) and self._copied()
            ):
                self._runtime.log.info(
                    "this machine seems to be restored, or a copy: a new instance"
                )
                self._profile.renew()
            elif self._is_final(reason) and not (
                # Another subscription of ours was first to learn that we are another one now.
                isinstance(reason, SubscriptionReplaced) and self._profile.instance != instance
            ):
                assert isinstance(reason, GuestError)
                self._runtime.log.error("not dialling again: {reason}", reason=reason)
                self._over(reason)
                return
            lasted = self._runtime.seconds() - began
            if lasted > LONGEST:
                attempt = 0
            if reason is None and lasted > SETTLED:
                self._runtime.log.info("the proxy drains: dialling a new connection")
                continue
            delay = backoff(attempt, self._chance())
            attempt += 1
            self._complain(reason)
            await self._runtime.sleep(delay)

    def _is_final(self, reason: Exception | None) -> bool:
        """Whether there is no use in dialling again (docs/protocol.md, "Dialling again")."""
        if isinstance(reason, SubscriptionRefused):
            return not self._retry_refused or reason.code in FINAL
        return isinstance(reason, SubscriptionReplaced)

    def _complain(self, reason: Exception | None) -> None:
        """Tell why there is no subscription, if that was not told just now."""
        now = self._runtime.seconds()
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
            self._runtime.log.warn("{told}", told=told)

    def subscribed(self, when_idle: Callable[[float, Callable[[bool], object]], object]) -> None:
        """
        There is a subscription.

        @param when_idle: L{GuestSubscription.when_idle
            <guest.core.subscription.GuestSubscription.when_idle>} of it.
        """
        told = self._outage.over(self._runtime.seconds())
        if told is not None:
            self._runtime.log.info("{told}", told=told)
        if not self._idle:
            when_idle(IDLE, self._serves_nothing)

    def _serves_nothing(self, idle: bool) -> None:
        if idle and not self._idle:
            self._idle = True
            self._runtime.log.warn(
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
            subscription: Any = await self._dial()
        except self._runtime.cancelled:
            raise
        except Exception as error:
            return error
        self._dialled = True
        leaving: Exception | None = await subscription.when_leaving()
        return leaving
