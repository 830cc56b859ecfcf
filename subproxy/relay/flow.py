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

LITTLE = 64 * 1024
"""Bytes that are taken at once for a sink that is slow; so many may be left in the pipe."""

MUCH = 192 * 1024
"""Bytes that are taken at once for a sink that is not, if it can't tell how many it takes."""


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
    @ivar size: bytes that are taken from the source at once, at most.
    @ivar held: bytes that are in the pipe.
    @ivar left: bytes that are to be taken from the source.
    @ivar taken: bytes that came from the source.
    @ivar given: bytes that went to the sink.
    @ivar relay: whose it is.
    @ivar queued: it is in the queue: for L{Rounds<subproxy.relay.scheduler.PlainSpliceScheduler>}
    alone.
    @ivar noted: it had a turn of which its user may not know yet: for those, too.
    @ivar held_back: it is to move nothing.
    @ivar full: when it was last asked, the sink took no more.
    @ivar reads: it comes into the queue when the source is ready.
    @ivar writes: it comes into the queue when the sink is ready.
    """

    __slots__ = (
        "_eager",
        *("entry", "exit", "given", "held", "left", "sink", "size", "source", "taken"),
        *("full", "held_back", "noted", "queued", "reads", "relay", "writes"),
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
        self.held = self.taken = self.given = 0
        self._eager = False  # the sink has taken all of the last fill
        self.relay: Any = None
        self.queued = self.noted = self.held_back = False
        self.full = self.reads = self.writes = False

    def move(self, budget: int, most: int = 1 << 40) -> int:
        """
        Move about C{budget} bytes, C{most} or little at once: why it stopped, an L{Outcome}.

        The source is asked only when the pipe is empty, so that to block means that it has nothing,
        never that the pipe has no slot free. It is asked for little when the sink did not take all
        of the last fill at once; and at first, if the sink can't tell how much it takes. Else for
        much: for a little more than what the sink says that it can pass on or keep, if it is a TCP
        or unix socket, and this is compiled.
        """
        while True:
            fresh = not self.held
            if fresh:
                if not self.left:
                    return Outcome.DONE
                if budget <= 0:
                    return Outcome.SPENT
                try:
                    got = os.splice(self.source, self.entry, self._fill(most), flags=_FLAGS)
                except BlockingIOError:
                    return Outcome.EMPTY
                except OSError:
                    return Outcome.ENDED
                if not got:
                    return Outcome.ENDED
                self.held = got
                self.left -= got
                self.taken += got
                self._eager = False
            try:
                put = os.splice(self.exit, self.sink, self.held, flags=_FLAGS)
            except BlockingIOError:
                return Outcome.FULL
            except OSError:
                return Outcome.BROKEN
            if fresh:
                self._eager = put == self.held
            self.held -= put
            self.given += put
            budget -= put

    def _fill(self, most: int) -> int:
        """Size of the next fill of the pipe, in bytes."""
        most = max(most, LITTLE)
        return min(self.left, self.size, most, MUCH if self._eager else LITTLE)


if TYPE_CHECKING:
    Flow = PlainFlow
else:
    try:
        from subproxy.relay._flow import Flow
    except ImportError:
        Flow = PlainFlow
