"""
A body from socket to socket without a copy in this process: C{splice} through a pipe.

By readiness, on descriptors of its own (duplicates, so that the transports keep theirs), a
bounded number of bytes a turn. Nothing else may read the source or write the sink meanwhile:
see L{subproxy.relay.socket_lease}. Works where one of the two is AF_VSOCK: the kernel copies there.
"""

from __future__ import annotations

import os
from typing import Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from subproxy.relay.flow import Flow, Outcome
from subproxy.relay.pipes import Pipe, PipePool
from subproxy.relay.pump import Pump
from subproxy.relay.scheduler import SINK, SOURCE

LEAST = 48 * 1024
"""Fewer bytes than this are not worth the trouble."""

FILL = 1024 * 1024
"""Bytes that are taken from a source at once, at most."""

POSSIBLE = hasattr(os, "splice") and hasattr(os, "eventfd")


class RelayUser(Protocol):
    """The user of a relay, who is told what it does."""

    def relay_moved(self, taken: int, given: int) -> None:
        """So many bytes came from the source since the last time, and so many went to the sink."""

    def relay_blocked(self, blocked: bool) -> None:
        """The sink takes no more for now; or takes more again."""

    def relay_done(self) -> None:
        """All of the body went to the sink. The relay has stopped, as it has in the next two."""

    def source_ended(self) -> None:
        """The source has no more, or is broken; what came from it went to the sink."""

    def sink_broke(self) -> None:
        """The sink takes no more, ever."""


@implementer(IPushProducer)
class SpliceRelay:
    """
    Moves a number of bytes.

    @ivar running: it has not stopped.
    """

    def __init__(
        self, pump: Pump, pipes: PipePool, source: int, sink: int, length: int, user: RelayUser
    ) -> None:
        """
        Take descriptors; both must be non-blocking.

        @raise OSError: there are not enough descriptors.
        """
        pipe: Pipe = pipes.take()
        self._hold(pump, pipes, pipe, user)
        self._keep(source, sink, Flow(source, sink, pipe.writing, pipe.reading, FILL, length))

    def _keep(self, source: int, sink: int, flow: Flow) -> None:
        """Have C{flow} move from and to duplicates of these."""
        try:
            source = os.dup(source)
            try:
                sink = os.dup(sink)
            except OSError:
                os.close(source)
                raise
        except OSError:
            self.running = False
            self._pipes.give(self._pipe)
            raise
        flow.source, flow.sink = source, sink
        flow.relay = self
        self._flow = flow

    @classmethod
    def adopting(
        cls, pump: Pump, pipes: PipePool, pipe: Pipe, flow: Flow, user: RelayUser
    ) -> SpliceRelay:
        """
        Go on with C{flow}, which somebody else has begun, on duplicates of its descriptors.

        Its user knows what it has moved so far, and it is watched by nobody.

        @param pipe: the one that it uses.
        @raise OSError: there are not enough descriptors; the pipe is given back.
        """
        relay = cls.__new__(cls)
        relay._hold(pump, pipes, pipe, user)
        relay._taken, relay._given = flow.taken, flow.given
        pipe.held = flow.held
        relay._keep(flow.source, flow.sink, flow)
        return relay

    def _hold(self, pump: Pump, pipes: PipePool, pipe: Pipe, user: RelayUser) -> None:
        self.running = True
        self._pump = pump
        self._pipes = pipes
        self._pipe = pipe
        self._user = user
        self._blocked = False  # so the user was told
        self._taken = self._given = 0  # of these the user knows

    @property
    def blocked(self) -> bool:
        """The sink takes no more for now."""
        return self._flow.full

    @property
    def taken(self) -> int:
        """Bytes that came from the source."""
        return self._flow.taken

    @property
    def given(self) -> int:
        """Bytes that went to the sink."""
        return self._flow.given

    def start(self) -> None:
        """
        Begin: C{user} is told when the pump has its turn.

        @raise OSError: there are not enough descriptors; the relay has stopped.
        """
        try:
            self._pump.enqueue(self._flow)
        except OSError:
            self.stopProducing()
            raise

    def limit(self, left: int) -> None:
        """No more than C{left} bytes are to be taken from the source, from now on."""
        if self.running:
            self._flow.left = left
            self._pump.enqueue(self._flow)

    # IPushProducer.

    def pauseProducing(self) -> None:
        """Move nothing for now."""
        self._flow.held_back = True

    def resumeProducing(self) -> None:
        """Move again."""
        if self.running:
            self._flow.held_back = False
            self._pump.enqueue(self._flow)

    def stopProducing(self) -> None:
        """Give everything back; C{user} is told no more than what was moved."""
        if not self.running:
            return
        self.running = False
        flow, pump = self._flow, self._pump
        flow.held_back = True
        if flow.reads:
            pump.forget(flow.source)
        if flow.writes:
            pump.forget(flow.sink)
        os.close(flow.source)
        os.close(flow.sink)
        self._pipe.held = flow.held
        self._pipes.give(self._pipe)
        self._say()

    # The pump.

    def rests(self) -> None:
        """It had its turn, some time ago, and may have stopped in between."""
        if not self.running:
            return
        self._say()
        full = self._flow.full
        if self.running and self._blocked is not full:
            self._blocked = full
            self._user.relay_blocked(full)

    def failed(self) -> None:
        """What it was told has raised: to the user it is as if the sink broke."""
        try:
            self.stopProducing()
        finally:
            self._user.sink_broke()

    def stopped(self, outcome: Outcome) -> None:
        """Act on the outcome of a round that has stopped, for now or for ever."""
        user = self._user
        if not self.running:
            return
        if outcome == Outcome.EMPTY:
            self._watch_source()
        elif outcome == Outcome.FULL:
            self._watch_sink()
        else:
            self.stopProducing()
            if self._blocked and outcome != Outcome.BROKEN:
                self._blocked = False
                user.relay_blocked(False)
            if outcome == Outcome.DONE:
                user.relay_done()
            elif outcome == Outcome.ENDED:
                user.source_ended()
            else:
                user.sink_broke()

    def _watch_source(self) -> None:
        try:
            self._pump.watch(self._flow.source, SOURCE, self._flow)
            self._flow.reads = True
        except OSError:
            # The kernel has no memory for it: as if it were broken.
            self.stopProducing()
            self._user.source_ended()

    def _watch_sink(self) -> None:
        try:
            self._pump.watch(self._flow.sink, SINK, self._flow)
            self._flow.writes = True
        except OSError:
            self.stopProducing()
            self._user.sink_broke()

    def _say(self) -> None:
        flow = self._flow
        taken, given = flow.taken - self._taken, flow.given - self._given
        if taken or given:
            self._taken, self._given = flow.taken, flow.given
            self._user.relay_moved(taken, given)
