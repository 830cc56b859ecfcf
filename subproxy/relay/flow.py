"""
The inmost part of a relay: bytes from one descriptor through a pipe to another, by C{splice}.

Compiled where that can be (L{subproxy.relay._flow}); here is what takes its place, and
what it is tested against.
"""

from __future__ import annotations

import os
import select
import time
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


ALONE = 64 * 1024 * 1024
"""Bytes that one relay moves at once if nobody else waits: some ten milliseconds."""

_MOST_EVENTS = 64


class PlainOthers:
    """
    Whoever else waits, when a relay has done what one turn of the reactor allows.

    A turn costs as much as some hundred kilobytes that are spliced, the more so as the
    interpreter's part of it is no longer in the caches: if nobody waits, a relay may go on.

    @param ring: the reactor's ring, if it has one.
    @param poller: the reactor's epoll descriptor.
    @param relays: that of the relays, which is one of those in it.
    @param bell: a descriptor in that which is always ready, and nobody's.
    @ivar most: bytes that a relay may move before they have their turn anyhow.
    @ivar until: when the first timed call is due, in monotonic seconds.
    """

    __slots__ = ("_bell", "_poller", "_ready", "_relays", "_ring", "most", "until")

    def __init__(
        self, ring: Any, poller: select.epoll, relays: select.epoll, bell: int, most: int = ALONE
    ) -> None:
        self.most = most
        self.until = 0.0
        self._ring = ring
        self._poller = poller
        self._relays = relays
        self._bell = bell
        self._ready: list[int] = []

    def wait(self) -> bool:
        """Whether anybody does."""
        if time.monotonic() >= self.until or (self._ring is not None and self._ring.pending):
            return True
        own = self._relays.fileno()
        if any(fd != own for fd, _ in self._poller.poll(0, 2)):
            return True
        ready = [fd for fd, _ in self._relays.poll(0, _MOST_EVENTS) if fd != self._bell]
        self._ready += ready
        return bool(ready)

    def ready(self) -> list[int]:
        """Descriptors of relays that were found ready, and will not be again."""
        ready, self._ready = self._ready, []
        return ready


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
    """

    __slots__ = ("entry", "exit", "given", "held", "left", "sink", "size", "source", "taken")

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

    def move(self, budget: int, others: Others | None = None) -> int:
        """
        Move about C{budget} bytes, at most a pipe more: why it stopped, an L{Outcome}.

        @param others: if it is given, then so many again, and again, as long as they don't wait.
        """
        ended = False
        turn = budget
        begin = self.given
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
                if others is None or self.given - begin >= others.most or others.wait():
                    return Outcome.SPENT
                budget = turn


if TYPE_CHECKING:
    Flow = PlainFlow
    Others = PlainOthers
else:
    try:
        from subproxy.relay._flow import Flow, Others
    except ImportError:
        Flow, Others = PlainFlow, PlainOthers


def others_of(reactor: Any, relays: select.epoll, bell: int) -> Others | None:
    """Who waits for C{reactor}, and in C{relays}, one of its readers; None if none can tell."""
    poller = getattr(reactor, "_poller", None)
    if not isinstance(poller, select.epoll):
        return None
    return Others(getattr(reactor, "ring", None), poller, relays, bell)
