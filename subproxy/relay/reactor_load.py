"""Whether anybody but the relays waits for the reactor."""

from __future__ import annotations

import select
from typing import Any


class ReactorLoad:
    """
    Whoever else waits, when the relays have moved what one turn of the reactor allows.

    A turn costs as much as some hundred kilobytes that are spliced, the more so as the
    interpreter's part of it is no longer in the caches: if nobody waits, they may go on.

    @param reactor: Twisted's on epoll, or one whose engine watches an epoll descriptor.
    @param relays: the epoll descriptor of the relays.
    @ivar reactor: the one.
    @ivar engine: the reactor's, if it has one; it watches C{relays} itself.
    @ivar poller: the reactor's; if there is no engine, C{relays} is one of those in it.
    """

    __slots__ = ("_relays", "engine", "poller", "reactor")

    def __init__(self, reactor: Any, relays: select.epoll) -> None:
        self.reactor = reactor
        self.engine = getattr(reactor, "engine", None)
        self.poller: select.epoll = reactor._poller
        self._relays = relays.fileno()

    def has_pending_work(self) -> bool:
        """Whether anybody does: for a timed call that is new or due, or a descriptor."""
        reactor = self.reactor
        calls = reactor._pendingTimedCalls
        if reactor._newTimedCalls or (calls and calls[0].time <= reactor.seconds()):
            return True
        if self.engine is not None:
            return bool(self.engine.pending)
        return any(fd != self._relays for fd, _ in self.poller.poll(0, 2))


def reactor_load_of(reactor: Any, relays: select.epoll) -> ReactorLoad | None:
    """Make a probe of what else waits for C{reactor}; None if that can't be told."""
    if isinstance(getattr(reactor, "_poller", None), select.epoll):
        return ReactorLoad(reactor, relays)
    return None
