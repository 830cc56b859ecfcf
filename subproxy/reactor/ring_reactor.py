"""The reactor on io_uring."""

# Twisted's transports are untyped, or typed too narrowly to be subclassed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.main import installReactor

from subproxy.reactor._engine import Engine
from subproxy.reactor._ring_turn import RingLoop
from subproxy.reactor.stream_reactor import StreamReactor


class IOUringReactor(StreamReactor):
    """A reactor on io_uring. Its keyword arguments are those of L{RingLoop}."""

    def _make_engine(self, epoll_fd: int, on_epoll: Callable[[], object], **sizes: int) -> Engine:
        return RingLoop(epoll_fd, on_epoll, **sizes)


def install() -> IOUringReactor:
    """Make this the process's reactor."""
    reactor = IOUringReactor()
    installReactor(reactor)
    return reactor
