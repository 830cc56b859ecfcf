"""
Who moves the bytes of all relays: a bounded number a turn of the reactor, in turn.

The relays of a reactor have an epoll descriptor of their own, on which each waits for one event at
a time, and which the reactor watches: all of them together have one event a turn. Who could move
more than its share waits in a queue, and behind everybody else whom the reactor serves. While there
is nobody else, they go on. Their users hear of it some times a second, and when one has stopped.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.reactor.interfaces import IReactorReadiness
from subproxy.relay.flow import Flow
from subproxy.relay.reactor_load import ReactorLoad, reactor_load_of
from subproxy.relay.scheduler import SpliceScheduler

TURN = 256 * 1024
"""
Bytes that all relays move before everybody else has a turn, if somebody came lately; those of
bodies that end with them do not count.
"""

ALONE = 1024 * 1024
"""The same in all, and if nobody did for some time: it costs less, but who comes waits longer."""

MOST = 64 * 1024 * 1024
"""Bytes that all move at once though nobody else waits: some ten milliseconds."""

TOLD = 0.05
"""Seconds after which who uses a relay is told what it has moved, at the latest."""


@implementer(IReadDescriptor)
class Pump:
    """The relays of one reactor."""

    _log = Logger()

    def __init__(self, reactor: Any, turn: int = TURN, alone: int = ALONE) -> None:
        """
        Begin with none.

        @param turn: bytes that all together move in one turn of C{reactor}.
        @param alone: the same, while nobody else comes.
        """
        self._reactor = reactor
        self._turn = turn
        self._alone = alone
        self._poller: select.epoll | None = None
        self._rounds: SpliceScheduler | None = None
        self._others: ReactorLoad | None = None
        self._watch: Any = None  # if the reactor has something better than a reader
        self._bell = -1  # else: is readable while somebody is in the queue
        self._rings = False
        self._telling: IDelayedCall | None = None

    # Relays.

    def watch(self, fd: int, events: int, flow: Flow) -> None:
        """
        Have C{flow} in the queue when C{fd} is ready for C{events}, of which it waits for one.

        @raise OSError: there is no descriptor to be had for that.
        """
        rounds = self._rounds
        if rounds is None:
            rounds = self._open()
        assert self._poller is not None
        self._poller.register(fd, events)
        rounds.waiting[fd] = flow

    def scheduler(self) -> SpliceScheduler:
        """
        Whose descriptors and flows take part in the rounds here: for compiled code.

        @raise OSError: there is no descriptor to be had for it.
        """
        return self._rounds or self._open()

    def forget(self, fd: int) -> None:
        """C{fd}, which is still open, is watched no more."""
        if self._rounds is not None and self._rounds.waiting.pop(fd, None) is not None:
            assert self._poller is not None
            self._poller.unregister(fd)

    def enqueue(self, flow: Flow) -> None:
        """C{flow} may have something to move."""
        rounds = self._rounds
        if rounds is None:
            rounds = self._open()
        rounds.enqueue(flow)
        if not rounds.turning:
            self._ring()

    def close(self) -> None:
        """Watch no more; for when there are no relays any more."""
        poller = self._poller
        if poller is not None:
            if self._telling is not None:
                self._telling.cancel()
            if self._watch is not None:
                self._watch.stop()
            else:
                self._reactor.removeReader(self)
                os.close(self._bell)
            if self._rounds is not None:
                self._rounds.close()
            self._poller = self._rounds = self._others = self._watch = self._telling = None
            poller.close()

    def _open(self) -> SpliceScheduler:
        watches: bool = IReactorReadiness.providedBy(self._reactor)
        poller = select.epoll()
        if watches:
            self._watch = self._reactor.watchReadable(poller.fileno(), self.doRead, "relays")
        else:
            try:
                self._bell = os.eventfd(1, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            except OSError:
                poller.close()
                raise
        self._poller = poller
        self._others = reactor_load_of(self._reactor, poller)
        self._rounds = SpliceScheduler(poller, self._others, self._turn, self._alone, MOST)
        self._rings = False
        if self._watch is None:
            self._reactor.addReader(self)
        return self._rounds

    def _ring(self) -> None:
        """Have the reactor come back at once while somebody is in the queue."""
        rounds = self._rounds
        rings = rounds is not None and bool(rounds.queue)
        if self._watch is not None:
            if rings:
                self._watch.again()
        elif rings is not self._rings and self._poller is not None:
            self._rings = rings
            if rings:
                self._poller.register(self._bell, select.EPOLLIN)
            else:
                self._poller.unregister(self._bell)

    # IReadDescriptor.

    def fileno(self) -> int:
        """See C{IFileDescriptor}."""
        return -1 if self._poller is None else self._poller.fileno()

    def logPrefix(self) -> str:
        """See C{ILoggingContext}."""
        return "relays"

    def connectionLost(self, reason: Failure) -> None:
        """See C{IFileDescriptor}: an epoll descriptor has no connection."""

    def doRead(self) -> None:
        """See C{IReadDescriptor}: a turn, and more of them while nobody else waits."""
        rounds, others = self._rounds, self._others
        assert rounds is not None
        rounds.begin()
        try:
            while True:
                told = rounds.run()
                for flow, outcome in told:
                    self._tell(flow, flow.relay.stopped, outcome)
                if not told or rounds.over or self._rounds is not rounds:
                    break
                if others is None or others.has_pending_work():
                    break
        finally:
            rounds.turning = False
            # Also for who came into the queue amid a turn that has failed.
            self._ring()
        if self._telling is None and rounds.noted and self._rounds is rounds:
            self._telling = self._reactor.callLater(TOLD, self._tell_all)

    def _tell_all(self) -> None:
        """Tell those who use relays what has been moved, and who must wait."""
        self._telling = None
        if self._rounds is not None:
            for flow in self._rounds.take():
                self._tell(flow, flow.relay.rests)

    def _tell(self, flow: Flow, what: Callable[..., None], *args: Any) -> None:
        try:
            what(*args)
        except Exception:
            self._log.failure("a relay failed")
            try:
                flow.relay.failed()
            except Exception:
                self._log.failure("a relay that failed could not be ended")
