"""
Keeps as many subscriptions as a proxy's processes and an instance's concurrency want: one with each
process. Imports no framework.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from guest.core.errors import GuestError
from guest.core.keeper import DialledSubscription, SubscriptionKeeper
from guest.core.process_share import ProcessShare
from guest.core.profile import SubscriberProfile
from guest.core.restore import drift
from guest.core.runtime import Runtime, Task
from guest.core.welcome import Welcome
from subproxy.wire import info as wire_info
from subproxy.wire.values import record_class

WhenIdle = Callable[[float, Callable[[bool], object]], object]


@record_class
class _Further:
    """A subscription beside the first one."""

    share: ProcessShare
    keeper: SubscriptionKeeper
    task: Task


class SubscriptionKeepers:
    """
    Keeps one application subscribed to one proxy, with each of its processes.

    The first subscription finds out how many there are; those beside it come and go with that.
    """

    def __init__(
        self,
        runtime: Runtime,
        profile: SubscriberProfile,
        dial: Callable[[ProcessShare], Awaitable[DialledSubscription]],
        leave: Callable[[ProcessShare], object],
        over: Callable[[GuestError], object],
        *,
        where: str,
        chance: Callable[[], float] = random.random,
        retry_refused: bool = True,
        drift: Callable[[], float] = drift,
    ) -> None:
        """
        Take what is to be kept up; L{run} does it.

        @param dial: makes a connection for that share, which has said C{hello}.
        @param leave: drains the connections of that share.

        The others are as those of L{SubscriptionKeeper}.
        """
        self._runtime = runtime
        self._profile = profile
        self._dial = dial
        self._leave = leave
        self._over = over
        self._where = where
        self._chance = chance
        self._retry_refused = retry_refused
        self._drift = drift
        self._stopped = False
        self._told = False
        self._further: dict[int, _Further] = {}
        self._newest: dict[int, ProcessShare] = {}
        self._share = ProcessShare()
        self._first = self._keeper(self._share)

    def _keeper(self, share: ProcessShare) -> SubscriptionKeeper:
        return SubscriptionKeeper(
            self._runtime,
            self._profile,
            lambda: self._dial(share),
            self._is_over,
            where=self._where,
            chance=self._chance,
            retry_refused=self._retry_refused,
            drift=self._drift,
            copied=lambda: self._copied(share),
        )

    def _is_over(self, reason: GuestError) -> None:
        """Each subscription hears of it: the first to do so tells."""
        if not self._told:
            self._told = True
            self._over(reason)

    def _copied(self, share: ProcessShare) -> bool:
        """Whether somebody else has the place of C{share}: not another one of ours."""
        process = share.process
        return process is None or self._newest.get(process, share) is share

    def stop(self) -> None:
        """Dial no more: what is being dialled may fail in any way when it is cancelled."""
        self._stopped = True
        self._first.stop()
        for each in self._further.values():
            each.keeper.stop()
            each.task.cancel()
        self._further.clear()

    async def run(self) -> None:
        """Stay subscribed, until it is over, or is cancelled after L{stop}."""
        self._stopped = False
        await self._first.run()

    def subscribed(self, share: ProcessShare, welcome: Welcome, when_idle: WhenIdle) -> None:
        """
        The subscription of C{share} has been taken.

        @param when_idle: L{GuestSubscription.when_idle
            <guest.core.subscription.GuestSubscription.when_idle>} of it.
        """
        process, processes = wire_info.process(welcome.info)
        self._newest[process] = share
        if share is self._share:
            self._first.subscribed(when_idle)
            if not self._stopped:
                self._surround(process, processes)
            return
        further = next((it for it in self._further.values() if it.share is share), None)
        if further is None or self._further.get(process) is not further:
            # That process is not there; the first subscription will hear how many there are.
            self._drop(share)
        else:
            further.keeper.subscribed(when_idle)

    def _surround(self, own: int, processes: int) -> None:
        """Have a subscription with so many processes as the first one wants beside itself."""
        others = [each for each in range(processes) if each != own][: max(0, self._share.among - 1)]
        for process, further in list(self._further.items()):
            if process not in others:
                self._drop(further.share)
        for index, process in enumerate(others, 1):
            there = self._further.get(process)
            if there is not None:
                there.share.index = index
                continue
            share = ProcessShare(process, index, self._share.among)
            keeper = self._keeper(share)
            task = self._runtime.start(keeper.run())
            self._runtime.when_done(task, self._ended)
            self._further[process] = _Further(share, keeper, task)

    def _drop(self, share: ProcessShare) -> None:
        for process, further in list(self._further.items()):
            if further.share is share:
                del self._further[process]
                further.keeper.stop()
                further.task.cancel()
        self._leave(share)

    def _ended(self, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, self._runtime.cancelled):
            self._runtime.log.failure("no more dialling, because of a bug", error)
