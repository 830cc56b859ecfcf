"""Signals as calls in the reactor, for as long as a service runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, Final

from twisted.application.service import MultiService, Service
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

OF_OPERATORS: Final = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2),
)
"""Signals that somebody sends to a proxy."""


def hold_signals() -> None:
    """
    Let those of operators wait.

    To be called before C{execve}, which puts an end to handlers: until the next program has its own
    each of these signals would end the process. What waits does so beyond C{execve}.

    Other threads, such as those of the reactor that look names up, take what this one blocks; the
    handler is called in this one all the same. So it is given to this one, for which it waits.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, OF_OPERATORS)
    for each in OF_OPERATORS:
        if callable(signal.getsignal(each)):
            _held[each] = signal.signal(each, _hold)


_held: dict[int, Any] = {}
"""The handlers of signals that are held."""


def _hold(number: int, frame: FrameType | None) -> None:
    """Another thread was given it."""
    signal.pthread_kill(threading.main_thread().ident or 0, number)


def let_signals_come() -> None:
    """Let those of operators come, and those that have waited: all of them are handled now."""
    while _held:
        number, handler = _held.popitem()
        if signal.getsignal(number) is _hold:
            signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, OF_OPERATORS)


class SignalService(Service):
    """
    Calls a function, in a reactor turn of its own, for each signal.

    A signal that nobody handles ends the process. So this is the first child of its parent
    (L{be_first}), and handles them before others listen: who is told that a proxy listens may send
    one.

    A handler that was there before is called too (C{twistd} rotates its own log on SIGUSR1),
    and is put back when the service stops.
    """

    def __init__(
        self, reactor: Any, handlers: Mapping[signal.Signals, Callable[[], object]]
    ) -> None:
        self._reactor = reactor
        self._handlers = handlers
        self._before: dict[int, Any] = {}

    def be_first(self, parent: MultiService) -> None:
        """Be the first of its children."""
        self.setServiceParent(parent)  # type: ignore[no-untyped-call]
        parent.services.remove(self)
        parent.services.insert(0, self)

    def privilegedStartService(self) -> None:
        """Handle the signals from now on."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._handle()

    def startService(self) -> None:
        """Handle the signals from now on, if that was not so before."""
        super().startService()  # type: ignore[no-untyped-call]
        self._handle()

    def _handle(self) -> None:
        if not self._before:
            for number in self._handlers:
                self._before[number] = signal.signal(number, self._caught)
            let_signals_come()

    def stopService(self) -> None:
        """Handle them as before."""
        super().stopService()  # type: ignore[no-untyped-call]
        while self._before:
            signal.signal(*self._before.popitem())

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self._handlers[signal.Signals(number)])
        before = self._before.get(number)
        if callable(before):
            before(number, frame)


def stop_on_signals(reactor: Any, again: Callable[[], object]) -> None:
    """
    Let SIGTERM and SIGINT stop C{reactor}, as soon as it runs.

    Twisted's own handlers do that too, but then the process ends by that signal: to whoever
    started it, a proxy that left in good order looks as if it had been killed. They are put in
    place when the reactor begins to run, so ours are put back right behind: not when all that waits
    for the reactor to run has had its turn, in which a signal may come.

    @param reactor: one that does not run yet.
    @param again: called when such a signal comes once more.
    """

    def stop() -> None:
        try:
            reactor.stop()
        except ReactorNotRunning:
            Logger("subproxy").info("told to stop again: what is under way is given up")
            again()

    def caught(number: int, frame: FrameType | None) -> None:
        reactor.callFromThread(stop)

    def handle() -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, caught)
        # One that came between Twisted's handlers and ours stops the reactor as well, and has
        # been noted as what to end by.
        reactor._exitSignal = None

    handle()
    reactor.addSystemEventTrigger("during", "startup", handle)
