"""The turn of the reactor: Twisted's epoll reactor, run by an engine.

Everything that is not a TCP or UNIX stream (processes, inotify, UDP, wakers,
other people's descriptors) stays where it was, on an epoll descriptor that
the engine watches.
"""

# Twisted's transports are untyped, or typed too narrowly to be subclassed.
# mypy: disable-error-code="no-untyped-call,no-any-return"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.base import _topHandler
from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger
from zope.interface import implementer

from subproxy.reactor._engine import Engine
from subproxy.reactor._poll import PollHandle
from subproxy.reactor.interfaces import IReactorReadiness, IReactorTurns
from subproxy.reactor.out_of_memory import shortage


@implementer(IReactorReadiness, IReactorTurns)
class EngineReactor(EPollReactor):
    """What the transports know of their reactor: it has an engine, and runs it.

    The keyword arguments are those of the engine, the sizes of its queues and
    buffers. It has nothing of the kernel's before the reactor first runs, so that a
    program may daemonise, or hand the reactor to another thread, until then.

    @ivar engine: what moves the bytes of streams.
    """

    _log = Logger()

    engine: Engine

    def __init__(self, **sizes: int) -> None:
        super().__init__()
        self.engine = self._make_engine(self._poller.fileno(), self._poll_epoll, **sizes)

    def _make_engine(self, epoll_fd: int, on_epoll: Callable[[], object], **sizes: int) -> Engine:
        raise NotImplementedError

    # -- the loop

    def _poll_epoll(self) -> None:
        """The epoll descriptor is readable."""
        EPollReactor.doPoll(self, 0)

    def turnNumber(self) -> int:
        """See IReactorTurns."""
        return self.engine.turns

    def doPoll(self, timeout: float | None) -> None:
        """One turn; see ReactorBase.doIteration."""
        self.engine.wait(timeout)

    doIteration = doPoll

    def mainLoop(self) -> None:
        """Run until stopped: ReactorBase's, asking for no more than it must."""
        engine = self.engine
        engine.begin()
        try:
            while self._started:
                with shortage, _topHandler, shortage:
                    while self._started:
                        engine.run(self)
                        self.runUntilCurrent()
                        engine.wait(self.running and self.timeout())
        finally:
            engine.end()
        self._log.info("Main loop terminated.")

    # -- what the loop has to be told of, since it asks no more than it must

    def stop(self) -> None:
        """See IReactorCore."""
        super().stop()
        self.engine.look_again()

    def crash(self) -> None:
        """See IReactorCore."""
        super().crash()
        self.engine.look_again()

    def _moveCallLaterSooner(self, delayedCall: Any) -> None:
        super()._moveCallLaterSooner(delayedCall)
        self.engine.look_again()

    # -- IReactorFDSet

    def getReaders(self) -> list[Any]:
        """See IReactorFDSet."""
        found = [handle.reader() for handle in self.engine.handles()]
        return super().getReaders() + [reader for reader in found if reader is not None]

    def getWriters(self) -> list[Any]:
        """See IReactorFDSet."""
        found = [handle.writer() for handle in self.engine.handles()]
        return super().getWriters() + [writer for writer in found if writer is not None]

    def removeAll(self) -> list[Any]:
        """See IReactorFDSet."""
        removed = super().removeAll()
        for handle in self.engine.handles():
            reader, writer = handle.reader(), handle.writer()
            if reader is not None:
                reader.stopReading()
            if writer is not None:
                writer.stopWriting()
            if reader is not None or writer is not None:
                removed.append(reader or writer)
        return removed

    def disconnectAll(self) -> None:
        """See ReactorBase."""
        super().disconnectAll()
        if not self.engine.looping:
            self.engine.close()

    # -- IReactorReadiness

    def watchReadable(self, fd: int, ready: Callable[[], object], name: str) -> PollHandle:
        """See IReactorReadiness."""
        return PollHandle(self.engine, fd, ready, name)
