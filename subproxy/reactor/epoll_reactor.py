"""The reactor on epoll with compiled streams."""

# Twisted's transports are untyped, or typed too narrowly to be subclassed.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.main import installReactor

from subproxy.reactor._engine import Engine
from subproxy.reactor._epoll_turn import EpollLoop
from subproxy.reactor.stream_reactor import StreamReactor


class CompiledEpollReactor(StreamReactor):
    """A reactor on epoll. Its keyword argument is that of L{EpollLoop}."""

    def _make_engine(self, epoll_fd: int, on_epoll: Callable[[], object], **sizes: int) -> Engine:
        return EpollLoop(epoll_fd, on_epoll, **sizes)


def install() -> CompiledEpollReactor:
    """Make this the process's reactor."""
    reactor = CompiledEpollReactor()
    installReactor(reactor)
    return reactor
