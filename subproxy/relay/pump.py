"""
Who moves the bytes of all relays: a bounded number a turn of the reactor, in turn.

The relays of a reactor have an epoll descriptor of their own, on which they wait
edge-triggered, and which the reactor watches as one reader: so a relay that is under way costs no
call to register anything, and all of them together have one event a turn. Who could move more
than its share waits in a queue, and behind everybody else whom the reactor serves. While there is
nobody else, they go on.
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.relay.others import Others, others_of

TURN = 1024 * 1024
"""Bytes that all relays together move before the reactor looks at everybody else."""

STEP = 256 * 1024
"""Bytes that one of them moves before the next one."""

MOST = 64 * 1024 * 1024
"""Bytes that all move at once though nobody else waits: some ten milliseconds."""

_LOOKS = 3
"""So often who moved something looks in vain for more: to sleep and to be woken costs more."""

_MOST_EVENTS = 64


class Pumped(Protocol):
    """What is pumped."""

    queued: bool
    """It is in the queue: for the L{Pump} alone."""

    def step(self, budget: int) -> tuple[int, bool]:
        """Move about C{budget} bytes: how many it was, and whether there may be more to move."""

    def rest(self) -> None:
        """The turn is over, and there was no more to move when it was last asked."""

    def failed(self) -> None:
        """L{step} has raised: stop, and let whoever waits for the rest see that."""


@implementer(IReadDescriptor)
class Pump:
    """The relays of one reactor."""

    _log = Logger()

    def __init__(self, reactor: Any, turn: int = TURN, step: int = STEP) -> None:
        """
        Begin with none.

        @param turn: bytes that all together move in one turn of C{reactor}.
        @param step: bytes that one moves before the next one.
        """
        self._reactor = reactor
        self._turn = turn
        self._step = step
        self._queue: deque[Pumped] = deque()
        self._waiting: dict[int, Pumped] = {}
        self._poller: select.epoll | None = None
        self._bell = -1  # is readable while somebody is in the queue
        self._rings = False
        self._others: Others | None = None

    # Relays.

    def watch(self, fd: int, events: int, pumped: Pumped) -> None:
        """
        Have C{pumped} in the queue each time that C{fd} becomes ready for C{events}.

        @raise OSError: there is no descriptor to be had for that.
        """
        poller = self._poller
        if poller is None:
            poller = self._open()
        poller.register(fd, events | select.EPOLLET)
        self._waiting[fd] = pumped

    def forget(self, fd: int) -> None:
        """C{fd}, which is still open, is watched no more."""
        if self._waiting.pop(fd, None) is not None:
            assert self._poller is not None
            self._poller.unregister(fd)

    def enqueue(self, pumped: Pumped) -> None:
        """C{pumped} may have something to move."""
        if not pumped.queued:
            if self._poller is None:
                self._open()
            pumped.queued = True
            self._queue.append(pumped)
            self._ring()

    def close(self) -> None:
        """Watch no more; for when there are no relays any more."""
        poller = self._poller
        if poller is not None:
            self._reactor.removeReader(self)
            self._poller = self._others = None
            poller.close()
            os.close(self._bell)
        self._queue.clear()
        self._waiting.clear()

    def _open(self) -> select.epoll:
        poller = select.epoll()
        try:
            self._bell = os.eventfd(1, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        except OSError:
            poller.close()
            raise
        self._poller = poller
        self._others = others_of(self._reactor, poller)
        self._rings = False
        self._reactor.addReader(self)
        return poller

    def _ring(self) -> None:
        """Have the reactor come back at once while somebody is in the queue."""
        rings = bool(self._queue)
        if rings is not self._rings and self._poller is not None:
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
        others, moved, looks = self._others, 0, 0
        resting: dict[Pumped, None] = {}
        while True:
            poller = self._poller
            if poller is None:
                return  # closed by who was called
            for fd, _ in poller.poll(0, _MOST_EVENTS):
                pumped = self._waiting.get(fd)
                if pumped is not None and not pumped.queued:
                    pumped.queued = True
                    self._queue.append(pumped)
            now = self._round(resting)
            moved += now
            looks = 0 if now else looks + 1
            if others is None or looks > (_LOOKS if moved else 0) or moved >= MOST:
                break
            if others.wait(others.due()):
                break
        for pumped in resting:
            if not pumped.queued:
                self._do(pumped, pumped.rest)
        self._ring()

    def _round(self, resting: dict[Pumped, None]) -> int:
        """Who is in the queue moves something: how much it was, and who had no more is added."""
        queue, left = self._queue, self._turn
        while left > 0 and queue:
            pumped = queue.popleft()
            pumped.queued = False
            try:
                moved, more = pumped.step(min(self._step, left) if queue else left)
            except Exception:
                self._log.failure("a relay failed")
                self._end(pumped)
                continue
            left -= moved
            if not (more and moved):
                resting[pumped] = None
            elif not pumped.queued:
                pumped.queued = True
                queue.append(pumped)
        return self._turn - left

    def _do(self, pumped: Pumped, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception:
            self._log.failure("a relay failed")
            self._end(pumped)

    def _end(self, pumped: Pumped) -> None:
        try:
            pumped.failed()
        except Exception:
            self._log.failure("a relay that failed could not be ended")
