"""Keeps connections to one other host: enough for each of its processes to ask over one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from subproxy.frontend.peer.dialer import DialState, HostDialer
from subproxy.frontend.peer.process_place import ProcessPlace


class HostDialers:
    """
    See above, and L{ProcessPlace}. How many processes the host has, it says when it is reached.

    @param dial: as L{HostDialer} wants it.
    @ivar name: the host.
    @ivar address: where it is dialled.
    """

    def __init__(
        self,
        clock: Any,
        name: str,
        address: str,
        place: ProcessPlace,
        dial: Callable[[HostDialer], Deferred[Any]],
        random: Callable[[], float],
    ) -> None:
        self.name = name
        self.address = address
        self._clock = clock
        self._place = place
        self._dial = dial
        self._random = random
        self._dialers: dict[int, HostDialer] = {}
        self._stopped = False

    @property
    def state(self) -> DialState:
        """The best that any of them has come to."""
        return max((each.state for each in self._dialers.values()), key=_PROGRESS.index)

    def begin(self) -> None:
        """Dial, and go on until it is stopped."""
        self.learned(1)

    def stop(self) -> None:
        """Dial no more; connections that there are stay."""
        self._stopped = True
        for each in self._dialers.values():
            each.stop()

    def replaced(self, process: int) -> None:
        """Another process of the host has come in the place of that one."""
        dialer = self._dialers.get(process)
        if dialer is not None:
            dialer.replaced()

    def learned(self, processes: int) -> None:
        """The host has so many processes."""
        if self._stopped:
            return
        wanted = self._place.dials(processes)
        for process in [each for each in self._dialers if each not in wanted]:
            self._dialers.pop(process).stop()
        for process in wanted:
            if process not in self._dialers:
                dialer = HostDialer(
                    self._clock, self.name, self.address, self._dial, self._random, process
                )
                self._dialers[process] = dialer
                dialer.begin()


_PROGRESS = (
    DialState.STOPPED,
    DialState.WAITING,
    DialState.DIALLING,
    DialState.GREETING,
    DialState.CONNECTED,
)
