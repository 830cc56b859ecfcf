"""
A body from socket to socket without a copy in this process: C{splice} through a pipe.

By readiness, on descriptors of its own (duplicates, so that the transports keep theirs), a
bounded number of bytes a turn. Nothing else may read the source or write the sink meanwhile:
see L{subproxy.relay.lending}. Works where one of the two is AF_VSOCK: the kernel copies there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IPushProducer, IReadDescriptor, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.relay.pipes import Pipe, PipePool

TURN = 512 * 1024
"""Bytes that one relay moves before the reactor looks at everybody else."""

LEAST = 48 * 1024
"""Fewer bytes than this are not worth the trouble."""

POSSIBLE = hasattr(os, "splice")

_FLAGS = getattr(os, "SPLICE_F_MOVE", 0) | getattr(os, "SPLICE_F_NONBLOCK", 0)


class RelayUser(Protocol):
    """Who is told what a relay does."""

    def relayTook(self, amount: int) -> None:
        """So many bytes came from the source."""

    def relayGave(self, amount: int) -> None:
        """So many bytes went to the sink."""

    def relayBlocked(self, blocked: bool) -> None:
        """The sink takes no more for now; or takes more again."""

    def relayDone(self) -> None:
        """All of the body went to the sink. The relay has stopped, as it has in the next two."""

    def sourceEnded(self) -> None:
        """The source has no more, or is broken; what came from it went to the sink."""

    def sinkBroke(self) -> None:
        """The sink takes no more, ever."""


@implementer(IReadDescriptor, IWriteDescriptor)
class _End:
    """One of the two descriptors, as a reactor wants it."""

    def __init__(self, fd: int, ready: Callable[[], None], gone: Callable[[], None]) -> None:
        self.fd = fd
        self.doRead = self.doWrite = ready
        self._gone = gone

    def fileno(self) -> int:
        """See C{IFileDescriptor}."""
        return self.fd

    def logPrefix(self) -> str:
        """See C{ILoggingContext}."""
        return "relay"

    def connectionLost(self, reason: Failure) -> None:
        """See C{IFileDescriptor}: an error or hang-up, and nothing to read."""
        self._gone()


@implementer(IPushProducer)
class SpliceRelay:
    """
    Moves C{length} bytes.

    @ivar taken: bytes that came from the source.
    @ivar given: bytes that went to the sink.
    @ivar running: it has not stopped.
    """

    def __init__(
        self,
        reactor: Any,
        pipes: PipePool,
        source: int,
        sink: int,
        length: int,
        user: RelayUser,
    ) -> None:
        """
        Take descriptors; both must be non-blocking.

        @raise OSError: there are not enough descriptors.
        """
        self.taken = self.given = 0
        self.running = True
        self._reactor = reactor
        self._pipes = pipes
        self._left = length
        self._user = user
        self._reads = self._writes = self._blocked = self._paused = False
        self._pipe: Pipe = pipes.take()
        try:
            self._source = _End(os.dup(source), self._pump, self._hungUp)
            try:
                self._sink = _End(os.dup(sink), self._pump, self._hungUp)
            except OSError:
                os.close(self._source.fd)
                raise
        except OSError:
            pipes.give(self._pipe)
            raise

    def start(self) -> None:
        """Begin. Whatever happens, C{user} is told, perhaps before this returns."""
        self._pump()

    # IPushProducer.

    def pauseProducing(self) -> None:
        """Move nothing for now."""
        self._paused = True
        self._wait(False, False)

    def resumeProducing(self) -> None:
        """Move again."""
        self._paused = False
        self._pump()

    def stopProducing(self) -> None:
        """Give everything back; C{user} is not told."""
        if self.running:
            self.running = False
            self._wait(False, False)
            os.close(self._source.fd)
            os.close(self._sink.fd)
            self._pipes.give(self._pipe)

    # The pump.

    def _pump(self) -> None:
        if self._paused or not self.running:
            return
        pipe, user = self._pipe, self._user
        source, sink = self._source.fd, self._sink.fd
        budget = TURN
        ended = False
        while True:
            got = 0
            want = min(self._left, pipe.size - pipe.held)
            if want and not ended:
                try:
                    got = os.splice(source, pipe.writing, want, flags=_FLAGS)
                    ended = not got
                except BlockingIOError:
                    pass
                except OSError:
                    ended = True
                if got:
                    pipe.held += got
                    self._left -= got
                    self.taken += got
                    user.relayTook(got)
                    if not self.running:
                        return
            if pipe.held:
                try:
                    put = os.splice(pipe.reading, sink, pipe.held, flags=_FLAGS)
                except BlockingIOError:
                    self._block()
                    return
                except OSError:
                    self._sinkGone()
                    return
                pipe.held -= put
                budget -= put
                self.given += put
                user.relayGave(put)
            if not self.running:
                return
            if not pipe.held:
                if self._blocked:
                    self._blocked = False
                    user.relayBlocked(False)
                if not self._left:
                    self.stopProducing()
                    user.relayDone()
                    return
                if ended:
                    self.stopProducing()
                    user.sourceEnded()
                    return
                if not got or budget <= 0:
                    self._wait(True, False)
                    return
            elif budget <= 0:
                # The client did not take all. Perhaps it will; but if it never does, nobody
                # calls again to find that out.
                self._block()
                return

    def _block(self) -> None:
        """Wait for the sink."""
        self._wait(False, True)
        if not self._blocked:
            self._blocked = True
            self._user.relayBlocked(True)

    def _hungUp(self) -> None:
        """
        The reactor reports an error, and has forgotten the descriptor.

        In the turn in which a number gets a new owner an event may still be meant for the former
        one. So that is no more than an occasion to look: the next splice tells.
        """
        self._wait(False, False)
        self._pump()

    def _sinkGone(self) -> None:
        if self.running:
            self.stopProducing()
            self._user.sinkBroke()

    def _wait(self, reads: bool, writes: bool) -> None:
        """For the source, the sink, or neither."""
        reactor = self._reactor
        if reads is not self._reads:
            self._reads = reads
            (reactor.addReader if reads else reactor.removeReader)(self._source)
        if writes is not self._writes:
            self._writes = writes
            (reactor.addWriter if writes else reactor.removeWriter)(self._sink)
