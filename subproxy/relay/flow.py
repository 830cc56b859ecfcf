"""
The inmost part of a relay: bytes from one descriptor through a pipe to another, by C{splice}.

Compiled where that can be (L{subproxy.relay._flow}); here is what takes its place, and
what it is tested against.
"""

from __future__ import annotations

import os
from enum import IntEnum
from typing import TYPE_CHECKING, Any

_FLAGS = getattr(os, "SPLICE_F_MOVE", 0) | getattr(os, "SPLICE_F_NONBLOCK", 0)


class Outcome(IntEnum):
    """Why a flow stopped; the numbers are those of the compiled one."""

    SPENT = 0
    """It has moved what it was allowed to, and could move more."""
    EMPTY = 1
    """The source has nothing more for now, and the pipe neither."""
    FULL = 2
    """The sink takes no more for now."""
    DONE = 3
    """All has been moved."""
    ENDED = 4
    """The source has ended or is broken; what came from it has been given to the sink."""
    BROKEN = 5
    """The sink takes no more, ever."""


class PlainFlow:
    """
    The bytes of one relay.

    @ivar source: the descriptor to read from, non-blocking.
    @ivar sink: the descriptor to write to, non-blocking.
    @ivar entry: the pipe's descriptor to write to.
    @ivar exit: the pipe's descriptor to read from.
    @ivar size: bytes that the pipe may hold.
    @ivar held: bytes that are in the pipe.
    @ivar left: bytes that are to be taken from the source.
    @ivar taken: bytes that came from the source.
    @ivar given: bytes that went to the sink.
    @ivar relay: whose it is.
    @ivar said: how many of the bytes that were given its user knows of.
    @ivar queued: it is in the queue: for L{Rounds<subproxy.relay.rounds.PlainRounds>} alone.
    @ivar held_back: it is to move nothing.
    @ivar full: when it was last asked, the sink took no more.
    @ivar reads: it comes into the queue when the source is ready.
    @ivar writes: it comes into the queue when the sink is ready.
    """

    __slots__ = (
        *("entry", "exit", "given", "held", "left", "sink", "size", "source", "taken"),
        *("full", "held_back", "queued", "reads", "relay", "said", "writes"),
    )

    def __init__(
        self, source: int, sink: int, entry: int, exit: int, size: int, length: int
    ) -> None:
        self.source = source
        self.sink = sink
        self.entry = entry
        self.exit = exit
        self.size = size
        self.left = length
        self.held = self.taken = self.given = self.said = 0
        self.relay: Any = None
        self.queued = self.held_back = self.full = self.reads = self.writes = False

    def move(self, budget: int) -> int:
        """Move about C{budget} bytes, at most a pipe more: why it stopped, an L{Outcome}."""
        ended = False
        while True:
            got = 0
            empty = not self.held  # (to block may mean that the pipe has no slot free)
            want = min(self.left, self.size - self.held)
            if want and not ended:
                try:
                    got = os.splice(self.source, self.entry, want, flags=_FLAGS)
                    ended = not got
                except BlockingIOError:
                    pass
                except OSError:
                    ended = True
                self.held += got
                self.left -= got
                self.taken += got
            if self.held:
                try:
                    put = os.splice(self.exit, self.sink, self.held, flags=_FLAGS)
                except BlockingIOError:
                    return Outcome.FULL
                except OSError:
                    return Outcome.BROKEN
                self.held -= put
                self.given += put
                budget -= put
            if not self.held:
                if not self.left:
                    return Outcome.DONE
                if ended:
                    return Outcome.ENDED
                if empty and not got:
                    return Outcome.EMPTY
            if budget <= 0:
                return Outcome.SPENT


if TYPE_CHECKING:
    Flow = PlainFlow
else:
    try:
        from subproxy.relay._flow import Flow
    except ImportError:
        Flow = PlainFlow
