"""
The serving end between two hosts: L{PeerProtocol}, on a connection that may die unseen.

The other host pings. If it does not for as long as it has said that it would wait itself, or never
says C{welcome}, nobody is there. If it drains, another process of it takes its place: it is dialled
anew, and what came before is finished here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from subproxy.core.routing.route import Route
from subproxy.frontend.peer.peer_data_pool import PeerDataPool
from subproxy.frontend.peer.protocol import LocalDispatcher, PeerProtocol
from subproxy.wire import messages as m
from subproxy.wire.fields import integer
from subproxy.wire.info import process as processes_of
from subproxy.wire.limits import MAX_NUMBER

WELCOME_TIMEOUT: Final = 10.0
"""Seconds until the other host has said C{welcome}."""

_milliseconds = integer(1, MAX_NUMBER)


class HostPeerProtocol(PeerProtocol):
    """
    One other host, which asks.

    @param served: what is served here, and whether a machine would have to be started for that.
    @param process: which of this host's processes this is.
    @param begun: hears that it has said C{welcome}, and how many processes it has.
    @param leaves: hears once that it takes no more: its end, or that it drains.
    @param data: what data connections to it are had from.
    """

    def __init__(
        self,
        dispatcher: LocalDispatcher,
        served: Mapping[Route, bool],
        host: str,
        instance: str,
        clock: Any,
        begun: Callable[[int], None],
        leaves: Callable[[], None],
        process: int = 0,
        data: PeerDataPool | None = None,
    ) -> None:
        super().__init__(dispatcher, process, (), host.encode(), instance, data)
        self._served = dict(served)
        self._clock = clock
        self._begun = begun
        self._leaves: Callable[[], None] | None = leaves
        self._silence = WELCOME_TIMEOUT
        self._heard: float = clock.seconds()
        self._dead: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Say who we are."""
        self._dead = self._clock.callLater(self._silence, self._silent)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """It is there."""
        self._heard = self._clock.seconds()
        super().dataReceived(data)

    def heard(self) -> float:
        """When something came last, by the clock."""
        return self._heard

    def connectionLost(self, reason: Failure | None = None) -> None:
        """It is gone."""
        if self._dead is not None and self._dead.active():
            self._dead.cancel()
        super().connectionLost(reason)
        self._left()

    def _silent(self) -> None:
        left = self.heard() + self._silence - self._clock.seconds()
        if left > 0:
            self._dead = self._clock.callLater(left, self._silent)
            return
        self._log.warn("another host is silent: given up")
        self.transport.abortConnection()

    def _left(self) -> None:
        leaves, self._leaves = self._leaves, None
        if leaves is not None:
            leaves()

    def _take(self, event: Any) -> None:
        match event:
            case m.Welcome():
                timeout = m.lookup(event.info, b"timeout", _milliseconds, 10_000)
                self._silence = timeout / 1000
                if self._dead is not None and self._dead.active():
                    self._dead.reset(self._silence)
                super()._take(event)
                self._begun(processes_of(event.info)[1])
            case m.Drain():
                self._left()
            case _:
                super()._take(event)
