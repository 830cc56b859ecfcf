"""Keeps a connection to another host, which asks over it what guests here are to answer."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.core.printable import printable
from subproxy.core.retry_delay import RetryDelay
from subproxy.core.states import TransitionTable


class DialState(Enum):
    """
    Where the connection to a host is.

    - C{WAITING}: it is dialled again soon.
    - C{DIALLING}: it is dialled.
    - C{GREETING}: it was reached, and has not said C{welcome} yet.
    - C{CONNECTED}: it asks.
    - C{STOPPED}: it is not dialled any more.
    """

    WAITING = auto()
    DIALLING = auto()
    GREETING = auto()
    CONNECTED = auto()
    STOPPED = auto()


DIAL_TRANSITIONS: TransitionTable[DialState] = TransitionTable(
    {
        DialState.WAITING: [DialState.DIALLING, DialState.STOPPED],
        DialState.DIALLING: [DialState.GREETING, DialState.WAITING, DialState.STOPPED],
        DialState.GREETING: [DialState.CONNECTED, DialState.WAITING, DialState.STOPPED],
        DialState.CONNECTED: [DialState.WAITING, DialState.STOPPED],
        DialState.STOPPED: [],
    }
)


class HostDialer:
    """
    See above.

    @param dial: reaches the host: it is given what hears that the host was reached, that it has
        said C{welcome}, and that it takes no more (or was not let in, for that reason).
    @ivar name: the host.
    @ivar process: which of its processes is wanted.
    @ivar state: see L{DialState}.
    @ivar attempt: how often it was dialled: tells a connection from those before it.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        name: str,
        address: str,
        dial: Callable[[HostDialer], Deferred[Any]],
        random: Callable[[], float],
        process: int = 0,
    ) -> None:
        self.name = name
        self.process = process
        self.address = address
        self.state = DialState.WAITING
        self.attempt = 0
        self._clock = clock
        self._dial = dial
        self._delay = RetryDelay(random)
        self._next: IDelayedCall | None = None
        self._dialled: Deferred[Any] | None = None

    def begin(self) -> None:
        """Dial, and go on until it is stopped."""
        self._next = None
        self.attempt += 1
        self._go(DialState.DIALLING)
        dialled = self._dialled = self._dial(self)
        dialled.addErrback(lambda failure: self._failed(dialled, failure))

    def stop(self) -> None:
        """Dial no more; a connection that there is stays."""
        if self.state is DialState.STOPPED:
            return
        was = self.state
        self._go(DialState.STOPPED)
        if self._next is not None and self._next.active():
            self._next.cancel()
        if was is DialState.DIALLING and self._dialled is not None:
            self._dialled.cancel()

    def reached(self) -> bool:
        """The host was reached; whether it is still to be spoken with."""
        if self.state is DialState.DIALLING:
            self._go(DialState.GREETING)
        return self.state is DialState.GREETING

    def begun(self) -> None:
        """It has said C{welcome}."""
        if self.state is DialState.GREETING:
            self._go(DialState.CONNECTED)
            self._delay.succeeded()
            self._log.info("{name} is served from here ({where})", **self._names)

    def left(self, attempt: int) -> None:
        """It takes no more over the connection of that C{attempt}."""
        if attempt != self.attempt:
            return
        if self.state is DialState.CONNECTED:
            self._log.info("{name} ({where}) has gone", **self._names)
        elif self.state is DialState.GREETING:
            self._complain("it does not let this host in")
        self._again()

    def replaced(self) -> None:
        """
        Another process of the host has come: let that one ask, too.

        The one that is connected may still ask what its last clients want, until it has C{left}.
        """
        if self.state is DialState.CONNECTED:
            self._again()

    def refused(self, reason: str) -> None:
        """Whoever is there is not that host, or wants nothing of this one."""
        self._complain(reason)
        self._again()

    @property
    def _names(self) -> dict[str, str]:
        return {"name": printable(self.name), "where": printable(self.address)}

    def _go(self, state: DialState) -> None:
        self.state = DIAL_TRANSITIONS.move(self.state, state)

    def _complain(self, reason: str) -> None:
        """Say why, once until it works."""
        if not self._delay.failures and self.state is not DialState.STOPPED:
            self._log.warn("{name} ({where}) is not reached: {why}", why=reason, **self._names)

    def _failed(self, dialled: Deferred[Any], failure: Failure) -> None:
        if dialled is self._dialled and self.state is DialState.DIALLING:
            self._complain(printable(failure.getErrorMessage()))
            self._again()

    def _again(self) -> None:
        if self.state in (DialState.DIALLING, DialState.GREETING, DialState.CONNECTED):
            self._go(DialState.WAITING)
            self._next = self._clock.callLater(self._delay.failed(), self.begin)
