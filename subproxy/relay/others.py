"""Whether anybody but the relays waits for the reactor."""

from __future__ import annotations

import select
from math import inf
from time import monotonic
from typing import Any


class Others:
    """
    Whoever else waits, when the relays have moved what one turn of the reactor allows.

    A turn costs as much as some hundred kilobytes that are spliced, the more so as the
    interpreter's part of it is no longer in the caches: if nobody waits, they may go on.

    @param reactor: one on epoll, or on a ring that polls an epoll descriptor.
    @param relays: the epoll descriptor of the relays, which is one of those in the reactor's.
    @ivar ring: the reactor's, if it has one.
    @ivar poller: the reactor's.
    """

    __slots__ = ("_reactor", "_relays", "poller", "ring")

    def __init__(self, reactor: Any, relays: select.epoll) -> None:
        self._reactor = reactor
        self.ring = getattr(reactor, "ring", None)
        self.poller: select.epoll = reactor._poller
        self._relays = relays.fileno()

    def due(self) -> float:
        """When the first timed call is to be made, in monotonic seconds."""
        timeout = self._reactor.timeout()
        return inf if timeout is None else monotonic() + timeout

    def wait(self, due: float) -> bool:
        """Whether anybody does; C{due} is what L{due} has said."""
        return (
            (self.ring is not None and self.ring.pending)
            or monotonic() >= due
            or any(fd != self._relays for fd, _ in self.poller.poll(0, 2))
        )


def others_of(reactor: Any, relays: select.epoll) -> Others | None:
    """Who else waits for C{reactor}; None if that can't be told."""
    if isinstance(getattr(reactor, "_poller", None), select.epoll):
        return Others(reactor, relays)
    return None
